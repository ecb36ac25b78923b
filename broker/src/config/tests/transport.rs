//! What a listener is told of WebSockets, Unix sockets and proxies.

use std::path::Path;

use super::*;

#[test]
fn what_a_websocket_cannot_have_is_named() {
    let ws = |keys: &str| errors(&format!("{LISTENER}protocol = \"ws\"\n{keys}"));
    for (keys, error) in [
        (
            "websocket.path = \"mqtt\"",
            "7:18 `listener.websocket.path`: `mqtt` is not a path (write \"/mqtt\": ",
        ),
        ("websocket.path = \"/a?b\"", "7:18 `listener.websocket.path`: `/a?b` is not a path"),
        ("websocket.path = \"/a b\"", "7:18 `listener.websocket.path`: `/a b` is not a path"),
        (
            "websocket.origins = [\"*\"]",
            "7:22 `listener.websocket.origins`: `*` is no origin (write scheme, name and port",
        ),
        (
            "websocket.origins = [\"https://a/b\"]",
            "7:22 `listener.websocket.origins`: `https://a/b`",
        ),
        (
            "websocket.max_message_size = \"1B\"",
            "7:30 `listener.websocket.max_message_size` is 1B: it must be 1KiB to 1GiB",
        ),
        ("websocket.pth = 1", "7:11 unknown key `pth` (did you mean `path`?)"),
        (
            "trusted_proxies = [\"10.0.0.0/8\", \"localhost\"]",
            "7:34 `listener.trusted_proxies`: `localhost` is no network (write an address",
        ),
        ("trusted_proxies = \"10.0.0.0/8\"", "7:19 `listener.trusted_proxies` must be an array"),
    ] {
        let found = ws(keys);
        assert_eq!(found.len(), 1, "{keys} {found:#?}");
        assert!(found[0].starts_with(error), "{keys} {found:#?}");
    }
    let many = vec!["\"::1\""; 65].join(", ");
    let found = ws(&format!("trusted_proxies = [{many}]"));
    assert!(found[0].contains("`trusted_proxies` has 65 entries: 64 is the most"), "{found:#?}");
    let found = errors(&format!("{LISTENER}websocket.path = \"/mqtt\""));
    assert_eq!(
        found,
        [
            "6:1 `listener.websocket` means nothing with protocol \"tcp\" (remove it, or use protocol = \"ws\")"
        ]
    );
}

#[test]
fn unix_sockets_and_proxies_are_read_and_what_does_not_fit_is_named() {
    let config = good(
        "[[listener]]\nname = \"u\"\nprotocol = \"unix\"\nbind = \"/run/mqtt.sock\"\nsocket_mode = 0o600\n\
         [[listener]]\nname = \"p\"\nbind = \"127.0.0.1:1\"\nproxy_protocol = \"name\"\ntrusted_proxies = [\"::1\"]\n",
    );
    assert_eq!(
        config.listeners[0].bind,
        super::super::Bind::Path(Path::new("/run/mqtt.sock").into())
    );
    assert_eq!(config.listeners[0].socket_mode, 0o600);
    assert_eq!(config.listeners[1].proxy_protocol, super::super::ProxyProtocol::Name);
    assert_eq!(listeners(&good(&super::super::print(&config))), listeners(&config));
    let long = "x".repeat(108);
    for (text, error) in [
        (
            "socket_mode = 0o600".to_owned(),
            "6:1 `listener.socket_mode` means nothing with protocol \"tcp\"",
        ),
        (
            "proxy_protocol = \"address\"".to_owned(),
            "6:18 `listener.proxy_protocol` is set, and no proxy is trusted (add trusted_proxies",
        ),
        ("proxy_protocol = \"v2\"".to_owned(), "6:18 `listener.proxy_protocol` cannot be `v2`"),
    ] {
        let found = errors(&format!("{LISTENER}{text}"));
        assert!(found[0].starts_with(error), "{found:#?}");
    }
    let unix = |path: &str, more: &str| {
        errors(&format!(
            "[[listener]]\nname = \"u\"\nprotocol = \"unix\"\nbind = \"{path}\"\n{more}"
        ))
    };
    assert!(unix(&long, "")[0].contains("cannot be the path of a socket"));
    assert!(unix("", "")[0].contains("cannot be the path of a socket"));
    assert!(unix("/x", "socket_mode = 0o1000")[0].contains("it must be 0 to 511"));
    let proxy = "proxy_protocol = \"name\"\ntrusted_proxies = [\"::1\"]";
    assert!(unix("/x", proxy)[0].contains("means nothing with protocol \"unix\""));
    let twice = "[[listener]]\nname = \"v\"\nprotocol = \"unix\"\nbind = \"/x\"";
    assert!(unix("/x", twice)[0].contains("/x is taken: listener `u` is bound to /x"));
}
