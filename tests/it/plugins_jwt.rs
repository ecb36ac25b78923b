//! Tokens of another implementation open the broker, and what they say holds.

use serde_json::Value;
use wasmqtt_codec::{QoS, Version};

use crate::harness::client::login;
use crate::harness::config::plugin;
use crate::harness::{Broker, Client, Outgoing, root};

const LISTENER: &str =
    "[[listener]]\nname = \"mqtt\"\nbind = \"127.0.0.1:0\"\nauthenticate = [\"jwt\"]\n";

fn token(name: &str) -> String {
    let path = root().join("plugins/jwt/tests/tokens.json");
    let tokens: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    tokens[name].as_str().unwrap().to_owned()
}

fn broker(more: &str) -> Broker {
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(root().join("plugins/jwt/tests/jwks.json"), dir.path().join("jwks.json"))
        .unwrap();
    let config = format!(
        "limits = {{ authenticate = \"20s\" }}\n[plugin.config]\nkeys = [{{ jwks = {{ file = \"jwks.json\" }} }}]\n{more}\n"
    );
    Broker::start_in(dir, &format!("{LISTENER}{}", plugin("jwt", "jwt", &config)))
}

#[test]
fn tokens_signed_with_rsa_and_ecdsa_open_the_broker_for_every_version_and_forged_ones_do_not() {
    let broker = broker("issuer = \"https://idp.example/\"\naudience = \"mqtt\"");
    for name in ["rs256", "rs256-no-kid", "es256"] {
        for version in [Version::V31, Version::V311, Version::V5] {
            let token = token(name);
            let (_, answer) = Client::connect(broker.addr(), &login(version, "anything", &token));
            assert_eq!(answer.code, 0, "{name}");
        }
    }
    for name in ["es256-der", "hs256-with-the-public-key"] {
        let token = token(name);
        let (_, answer) = Client::connect(broker.addr(), &login(Version::V5, "anything", &token));
        assert_eq!(answer.code, 0x86, "{name}");
    }
    let unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.";
    let (_, answer) = Client::connect(broker.addr(), &login(Version::V5, "a", unsigned));
    assert_eq!(answer.code, 0x86);
    // What is no token is nobody's business here, and nobody else is asked.
    let (_, answer) = Client::connect(broker.addr(), &login(Version::V5, "a", "secret"));
    assert!(answer.code >= 0x80);
}

#[test]
fn permissions_made_from_claims_are_the_clients_rights() {
    let broker = broker(
        "attributes = { site = \"site\" }\npermissions = [\n\
         { effect = \"allow\", filter = \"site/${attribute.site}/#\", actions = [\"publish\", \"subscribe\"] },\n\
         { effect = \"allow\", claim = \"roles\", actions = [\"publish\"] }]",
    );
    let token = token("es256");
    let (mut client, answer) =
        Client::connect(broker.addr(), &login(Version::V5, "anything", &token));
    assert_eq!(answer.code, 0);
    assert_eq!(client.subscribe("site/north/#", QoS::AtLeastOnce), 1);
    assert_eq!(client.subscribe("site/south/#", QoS::AtLeastOnce), 0x87);
    assert_eq!(client.publish(&Outgoing::new("sensor", "")), 0x10);
    assert_eq!(client.publish(&Outgoing::new("site/south/a", "")), 0x87);
    assert_eq!(client.publish(&Outgoing::new("site/north/a", "hello")), 0);
    assert_eq!(client.message().parts(), ("site/north/a", "hello"));
}

#[test]
fn a_new_key_is_taken_from_the_file_and_an_old_one_forgotten() {
    let broker = broker("");
    let old = token("es256");
    let (_, answer) = Client::connect(broker.addr(), &login(Version::V5, "a", &old));
    assert_eq!(answer.code, 0);
    let set = std::fs::read_to_string(root().join("plugins/jwt/tests/jwks.json")).unwrap();
    let mut set: Value = serde_json::from_str(&set).unwrap();
    set["keys"].as_array_mut().unwrap().retain(|key| key["kid"] == "rsa-1");
    let mark = broker.mark();
    broker.replace("jwks.json", set.to_string().as_bytes());
    broker.wait_for(mark, "reload applied");
    let (_, answer) = Client::connect(broker.addr(), &login(Version::V5, "a", &old));
    assert_eq!(answer.code, 0x86);
    let (_, answer) = Client::connect(broker.addr(), &login(Version::V5, "a", &token("rs256")));
    assert_eq!(answer.code, 0);
    let mark = broker.mark();
    broker.replace("jwks.json", b"{\"keys\":\n[}");
    let refused = broker.wait_for(mark, "reload refused");
    assert!(refused.holds("jwks.json:2"), "{}", refused.text());
}
