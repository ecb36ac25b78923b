//! What groups, spaces and bindings let clients do.

use serde_json::json;
use wasmqtt_plugin::{Answer, test};

use super::*;

fn config() -> serde_json::Value {
    json!({
        "clients": {
            "Meter-1": { "type": "meter", "floor": 7, "areas": ["north", "south"] },
            "evil": { "type": "meter", "floor": "8", "areas": ["+", "#", "a/b", ""] },
        },
        "groups": {
            "meters": "attributes.type = 'meter' and attributes.floor IN [\"7\", 8]",
            "north": "attributes.areas = \"north\"",
        },
        "spaces": {
            "readings": ["areas/${client.attributes.areas}/+/reading", "floor|${client.attributes.floor}|-x/#"],
            "own": ["${client.authenticationName}/#", "s/${client.sessionName}"],
            "news": ["news/#"],
        },
        "bindings": [
            { "group": "meters", "space": "readings", "permission": "publisher" },
            { "group": "north", "space": "news", "permission": "subscriber" },
            { "group": "$all", "space": "own", "permission": "publisher" },
            { "group": "$all", "space": "own", "permission": "subscriber" },
        ],
    })
}

fn plugin() -> TopicSpaces {
    test::init(&config().to_string()).unwrap().0
}

fn may(plugin: &mut TopicSpaces, name: Option<&str>, request: Request) -> bool {
    let answer = plugin.authorize(&Client::new(7, "c7", name), &request).unwrap().answer;
    match answer {
        Answer::Allow => true,
        Answer::Deny(Refusal { code: 0x87, .. }) => false,
        other => panic!("{other:?}"),
    }
}

fn error(config: &serde_json::Value) -> String {
    test::init::<TopicSpaces>(&config.to_string()).map(|_| ()).unwrap_err()
}

#[test]
fn a_binding_lets_a_group_publish_or_subscribe_to_a_space_and_nobody_else() {
    let mut plugin = plugin();
    for name in ["Meter-1", "meter-1"] {
        let mut meter = |request| may(&mut plugin, Some(name), request);
        assert!(meter(Request::publish("areas/north/3/reading")));
        assert!(meter(Request::publish("areas/south/3/reading")), "each value of a list");
        assert!(meter(Request::will("floor7-x/a/b")));
        assert!(!meter(Request::publish("areas/west/3/reading")));
        assert!(!meter(Request::publish("floor8-x/a")));
        assert!(!meter(Request::subscribe("areas/north/3/reading")), "publishers only");
        assert!(meter(Request::subscribe("news/+")) && meter(Request::subscribe("news/#")));
        assert!(!meter(Request::publish("news/a")) && !meter(Request::subscribe("#")));
    }
    assert!(!may(&mut plugin, Some("eve"), Request::publish("areas/north/3/reading")));
    assert!(!may(&mut plugin, Some("eve"), Request::subscribe("news/a")));
    assert!(!may(&mut plugin, None, Request::publish("areas/north/3/reading")));
}

#[test]
fn names_are_variables_as_well() {
    let mut plugin = plugin();
    assert!(may(&mut plugin, Some("eve"), Request::subscribe("eve/#")));
    assert!(!may(&mut plugin, Some("eve"), Request::subscribe("eve2/#")));
    assert!(!may(&mut plugin, Some("eve"), Request::subscribe("+/x")));
    assert!(may(&mut plugin, None, Request::publish("s/c7")), "the client identifier");
    assert!(!may(&mut plugin, None, Request::publish("/x")), "there is no name");
}

#[test]
fn a_value_with_a_wildcard_or_a_level_never_widens() {
    let mut plugin = plugin();
    for topic in [
        "areas/a/b/reading",
        "areas/+/x/reading",
        "areas/#",
        "areas//x/reading",
        "areas/z/x/reading",
    ] {
        assert!(!may(&mut plugin, Some("evil"), Request::publish(topic)), "{topic}");
    }
    for name in ["+", "#", "a/b", "", "$SYS"] {
        for topic in ["x/y", "a/b/c", "+/y", "#", "/y", "$SYS/y"] {
            assert!(!may(&mut plugin, Some(name), Request::subscribe(topic)), "{name} {topic}");
        }
    }
}

#[test]
fn attributes_come_from_whoever_authenticated_the_client_as_well() {
    let mut plugin = plugin();
    let attributes = [("type", "meter"), ("floor", "8"), ("areas", r#"["east","north"]"#)];
    let details = test::ClientDetails {
        attributes: attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        ..test::ClientDetails::default()
    };
    test::set_client(7, details);
    assert!(may(&mut plugin, Some("eve"), Request::publish("areas/east/1/reading")));
    assert!(may(&mut plugin, Some("eve"), Request::publish("floor8-x/1")));
    assert!(may(&mut plugin, Some("eve"), Request::subscribe("news/a")));
    // What the configuration says of a client comes first.
    assert!(!may(&mut plugin, Some("meter-1"), Request::publish("areas/east/1/reading")));
}

#[test]
fn queries_mean_what_they_say() {
    let clients = clients(
        [(
            "c".to_owned(),
            [
                ("n".to_owned(), Value::Number(7)),
                ("t".to_owned(), Value::Text("x".into())),
                ("l".to_owned(), Value::List(vec!["a".into(), "b".into()])),
            ]
            .into(),
        )]
        .into(),
    )
    .unwrap();
    let client = Client::new(9, "id", Some("c"));
    for (query, expected) in [
        ("attributes.n = 7", true),
        ("attributes.n = '7'", true),
        ("client.attributes.n == 7", true),
        ("attributes.n != 7", false),
        ("attributes.n <> 8", true),
        ("attributes.n <= 7 AND attributes.n >= 7", true),
        ("attributes.n < 7 OR attributes.n > 7", false),
        ("attributes.n < 70", true),
        ("attributes.t > 1", false),
        ("attributes.l = 'b'", true),
        ("attributes.l != 'b'", false),
        ("attributes.l IN ['z', 'a']", true),
        ("attributes.l NOT IN ['z']", true),
        ("attributes.l not in ['a']", false),
        ("attributes.missing = ''", false),
        ("attributes.missing != 'x'", false),
        ("not attributes.missing = 'x'", true),
        ("attributes.t = 'y' or attributes.t = 'x' and attributes.n = 8", false),
        ("(attributes.t = 'y' or attributes.t = 'x') and not (attributes.n = 8)", true),
        ("authenticationName IN ['b', 'c']", true),
        ("client.authenticationName = 'id'", false),
    ] {
        let parsed = Query::parse(query).unwrap();
        assert_eq!(parsed.holds(&mut Facts::new(&client, &clients)), expected, "{query}");
    }
}

#[test]
fn a_bad_query_says_what_is_wrong() {
    let deep = |count: usize| format!("{}attributes.a = 1{}", "(".repeat(count), ")".repeat(count));
    assert!(Query::parse(&deep(31)).is_ok());
    for (query, part) in [
        ("", "ends too early"),
        ("attributes.a =", "ends too early"),
        ("a = 1", "attributes.NAME or authenticationName is expected in place of `a`"),
        ("attributes. = 1", "attributes.NAME"),
        ("attributes.a 1", "a comparison is expected in place of `1`"),
        ("attributes.a < 'x'", "a whole number is expected in place of \"x\""),
        ("attributes.a = b", "a text in quotes"),
        ("attributes.a = 'b", "lacks its closing quote"),
        ("attributes.a IN []", "a text in quotes"),
        ("attributes.a IN ['b'", "ends too early"),
        ("attributes.a NOT ['b']", "`IN` is expected"),
        ("attributes.a = 1 attributes.b = 2", "is not expected there"),
        ("(attributes.a = 1", "ends too early"),
        ("attributes.a = 1; drop", "`;` is not expected there"),
        (&deep(32), "nested more than 32 deep"),
    ] {
        let error = Query::parse(query).unwrap_err();
        assert!(error.contains(part), "{query}: {error}");
    }
}

#[test]
fn a_bad_configuration_names_what_is_wrong() {
    let with = |path: &str, value: serde_json::Value| {
        let mut config = config();
        *config.pointer_mut(path).unwrap() = value;
        error(&config)
    };
    for (path, value, part) in [
        ("/groups", json!({ "x": "y" }), "groups.x: attributes.NAME"),
        ("/groups", json!({ "$x": "y" }), "groups.$x: names with $ are built in"),
        ("/spaces", json!({ "x": [] }), "spaces.x: has no template"),
        ("/spaces/own", json!(["a/#/b"]), "spaces.own: \"a/#/b\": # must be the last"),
        ("/spaces/own", json!(["a+"]), "must stand alone"),
        ("/spaces/own", json!(["${client.x}"]), "${client.x} is unknown"),
        ("/spaces/own", json!(["${client.attributes.x"]), "closing brace"),
        ("/bindings", json!([]), "bindings: is empty"),
        (
            "/bindings/1/group",
            json!("x"),
            "bindings[1]: there is no group \"x\"; there are $all, meters, north",
        ),
        ("/bindings/0/space", json!("x"), "bindings[0]: there is no space \"x\""),
        ("/bindings/0/permission", json!("x"), "unknown variant `x`"),
        ("/clients", json!({ "a": {}, "A": {} }), "is there twice"),
        ("/clients", json!({ "a": { "b": 1.5 } }), "a whole number or a list"),
    ] {
        let error = with(path, value);
        assert!(error.contains(part), "{path}: {error}");
    }
}

#[test]
fn what_no_binding_is_about_may_be_left_to_the_next_plugin() {
    let mut config = config();
    config["no_match"] = json!("abstain");
    config["reuse_ms"] = json!(5);
    let (mut plugin, registration) = test::init::<TopicSpaces>(&config.to_string()).unwrap();
    assert_eq!(registration.authorize, Actions::PUBLISH | Actions::SUBSCRIBE);
    let decision = plugin.authorize(&Client::new(1, "c", None), &Request::publish("x")).unwrap();
    assert_eq!((decision.answer, decision.reuse_ms), (Answer::Abstain, 5));
}
