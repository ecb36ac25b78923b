//! Client groups, topic spaces and bindings, with names from a password file and from a token's claims.

use wasmqtt_codec::{QoS, Version};

use crate::harness::client::login;
use crate::harness::config::plugin;
use crate::harness::{Broker, Client, Outgoing, root};

const SPACES: &str = "[plugin.config]\n\
    clients = { alice = { type = \"meter\", areas = [\"north\", \"south\"] } }\n\
    groups = { meters = 'attributes.type = \"meter\"', northern = 'attributes.site = \"north\"' }\n\
    spaces = { readings = [\"areas/${client.attributes.areas}/reading\"], \
    site = [\"site-|${client.attributes.site}/+\"], own = [\"to/${client.authenticationName}/#\"] }\n\
    bindings = [{ group = \"meters\", space = \"readings\", permission = \"publisher\" },\n\
    { group = \"northern\", space = \"site\", permission = \"publisher\" },\n\
    { group = \"northern\", space = \"site\", permission = \"subscriber\" },\n\
    { group = \"$all\", space = \"own\", permission = \"subscriber\" }]";

/// Taken, and nobody has subscribed.
const UNHEARD: u8 = 0x10;

fn broker(authenticate: &str, keys: &str) -> Broker {
    let dir = tempfile::tempdir().unwrap();
    for (from, to) in
        [("jwt/tests/jwks.json", "jwks.json"), ("password-file/tests/mosquitto.passwd", "passwd")]
    {
        std::fs::copy(root().join("plugins").join(from), dir.path().join(to)).unwrap();
    }
    let listener = "[[listener]]\nname = \"mqtt\"\nbind = \"127.0.0.1:0\"\nauthenticate = [\"who\"]\nauthorize = [\"topic-spaces\"]\n";
    let who = format!("limits = {{ authenticate = \"20s\" }}\n[plugin.config]\n{keys}\n");
    let who = plugin("who", authenticate, &who);
    Broker::start_in(
        dir,
        &format!("{listener}{who}{}", plugin("topic-spaces", "topic_spaces", SPACES)),
    )
}

fn entered(broker: &Broker, username: &str, password: &str) -> Client {
    let (client, answer) = Client::connect(broker.addr(), &login(Version::V5, username, password));
    assert_eq!(answer.code, 0, "{username}");
    client
}

#[test]
fn clients_of_a_group_publish_to_the_spaces_that_are_bound_to_it() {
    let broker = broker("password_file", "passwords = { file = \"passwd\" }");
    let mut alice = entered(&broker, "alice", "wonderland");
    let mut carol = entered(&broker, "carol", "builder");
    for (topic, code) in [
        ("areas/north/reading", UNHEARD),
        ("areas/south/reading", UNHEARD),
        ("areas/west/reading", 0x87),
    ] {
        assert_eq!(alice.publish(&Outgoing::new(topic, "")), code, "{topic}");
        assert_eq!(carol.publish(&Outgoing::new(topic, "")), 0x87, "{topic}");
    }
    assert_eq!(carol.subscribe("to/carol/#", QoS::AtLeastOnce), 1);
    assert_eq!(carol.subscribe("to/alice/#", QoS::AtLeastOnce), 0x87);
    assert_eq!(carol.subscribe("to/#", QoS::AtLeastOnce), 0x87);
    assert_eq!(carol.publish(&Outgoing::new("to/carol/x", "")), 0x87);
}

#[test]
fn attributes_from_the_claims_of_a_token_make_groups_and_topics() {
    let keys = "keys = [{ jwks = { file = \"jwks.json\" } }]\nattributes = { site = \"site\" }";
    let broker = broker("jwt", keys);
    let tokens = std::fs::read_to_string(root().join("plugins/jwt/tests/tokens.json")).unwrap();
    let tokens: serde_json::Value = serde_json::from_str(&tokens).unwrap();
    let mut device = entered(&broker, "any", tokens["rs256"].as_str().unwrap());
    assert_eq!(device.subscribe("site-north/+", QoS::AtLeastOnce), 1);
    assert_eq!(device.subscribe("to/device-7/#", QoS::AtLeastOnce), 1);
    assert_eq!(device.publish(&Outgoing::new("site-south/a", "")), 0x87);
    assert_eq!(device.publish(&Outgoing::new("site-north/a", "hello")), 0);
    assert_eq!(device.message().parts(), ("site-north/a", "hello"));
}
