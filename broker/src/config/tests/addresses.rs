//! Where listeners and `[admin]` can be, and cannot.

use super::errors::after_listener;
use super::*;

#[test]
fn two_listeners_cannot_have_one_address() {
    let second = |bind: &str| format!("[[listener]]\nname = \"second\"\nbind = \"{bind}\"");
    for bind in ["127.0.0.1:1883", "0.0.0.0:1883"] {
        let found = after_listener(&second(bind));
        let error = format!(
            "8:8 {bind} is taken: listener `mqtt` is bound to 127.0.0.1:1883 (see wasmqtt.toml:3)"
        );
        assert_eq!(found, [error]);
    }
    for bind in ["127.0.0.1:1884", "127.0.0.2:1883", "[::1]:1883"] {
        assert_eq!(good(&format!("{LISTENER}{}", second(bind))).listeners.len(), 2);
    }
    let any_port = LISTENER.replace(":1883", ":0");
    assert_eq!(good(&format!("{any_port}{}", second("127.0.0.1:0"))).listeners.len(), 2);
}

#[test]
fn admin_has_an_address_of_its_own() {
    for (bind, error) in [
        ("0.0.0.0:1883", "is taken: listener `mqtt` is bound to 127.0.0.1:1883"),
        ("localhost", "is not an address and a port (write \"127.0.0.1:18083\")"),
        ("::1", "is not an address and a port (write \"[::1]:18083\")"),
    ] {
        let found = after_listener(&format!("[admin]\nbind = \"{bind}\""));
        assert!(found[0].starts_with("7:8 ") && found[0].contains(error), "{found:?}");
    }
    let found = errors(&format!("{}[admin]\n", LISTENER.replace("1883", "18083")));
    assert!(found[0].starts_with("6:1 127.0.0.1:18083 is taken"), "{found:?}");
}

#[test]
fn an_address_is_an_ip_address_and_a_port() {
    for (bind, guess) in [
        ("localhost:1883", "127.0.0.1:1883"),
        (":8883", "0.0.0.0:8883"),
        ("*:8883", "0.0.0.0:8883"),
        ("10.0.0.1", "10.0.0.1:1883"),
        ("::1", "[::1]:1883"),
        ("1883", "127.0.0.1:1883"),
        ("127.0.0.1:65536", "127.0.0.1:1883"),
        ("", "127.0.0.1:1883"),
    ] {
        let found = errors(&LISTENER.replace("127.0.0.1:1883", bind));
        let error = format!(
            "3:8 `listener.bind`: `{bind}` is not an address and a port (write \"{guess}\")"
        );
        assert_eq!(found, [error]);
    }
}
