//! What the rules answer, from the operator's configuration to the decision.

use wasmqtt_plugin::{Answer, test};

use super::*;

mod mosquitto;

fn acl(config: &str) -> TopicAcl {
    test::init(config).unwrap().0
}

fn ask(acl: &mut TopicAcl, username: Option<&str>, request: Request) -> Answer {
    acl.authorize(&Client::new(7, "c7", username), &request).unwrap().answer
}

fn denied(answer: &Answer) -> bool {
    matches!(answer, Answer::Deny(refusal) if refusal.code == 0x87 && refusal.reason.is_some())
}

#[test]
fn the_first_rule_that_applies_wins() {
    let mut acl = acl(r#"{"rules": [
        {"effect": "deny", "filter": "a/secret"},
        {"effect": "allow", "filter": "a/+"},
        {"effect": "deny", "filter": "a/b"}
    ]}"#);
    assert!(denied(&ask(&mut acl, None, Request::publish("a/secret"))));
    assert_eq!(ask(&mut acl, None, Request::publish("a/b")), Answer::Allow);
    assert_eq!(ask(&mut acl, None, Request::publish("b")), Answer::Abstain);
}

#[test]
fn what_no_rule_is_about_is_denied_when_the_operator_says_so() {
    let mut acl = acl(r#"{"no_match": "deny", "rules": [{"effect": "allow", "filter": "a"}]}"#);
    assert_eq!(ask(&mut acl, None, Request::publish("a")), Answer::Allow);
    assert!(denied(&ask(&mut acl, None, Request::publish("b"))));
    assert!(denied(&ask(&mut acl, None, Request::subscribe("#"))));
}

#[test]
fn a_subscription_is_allowed_only_where_the_rule_covers_all_of_it() {
    let mut acl = acl(r#"{"rules": [{"effect": "allow", "filter": "a/+/c"}]}"#);
    for filter in ["a/b/c", "a/+/c"] {
        assert_eq!(ask(&mut acl, None, Request::subscribe(filter)), Answer::Allow, "{filter}");
    }
    for filter in ["a/#", "a/+/+", "+/b/c", "#", "a/b"] {
        assert_eq!(ask(&mut acl, None, Request::subscribe(filter)), Answer::Abstain, "{filter}");
    }
}

#[test]
fn a_subscription_that_could_show_a_denied_topic_is_denied() {
    let mut acl = acl(r##"{"rules": [
        {"effect": "deny", "filter": "secret/#"}, {"effect": "allow", "filter": "#"}
    ]}"##);
    for filter in ["#", "+/x", "secret", "secret/+", "+/#", "secret/a/b"] {
        assert!(denied(&ask(&mut acl, None, Request::subscribe(filter))), "{filter}");
    }
    for filter in ["public/#", "secrets/#", "a/secret"] {
        assert_eq!(ask(&mut acl, None, Request::subscribe(filter)), Answer::Allow, "{filter}");
    }
}

#[test]
fn allowing_everything_does_not_allow_the_brokers_own_topics_but_denying_everything_denies_them() {
    let mut allow = acl(r##"{"rules": [{"effect": "allow", "filter": "#"}]}"##);
    let mut deny = acl(r##"{"rules": [{"effect": "deny", "filter": "#"}]}"##);
    for request in [Request::subscribe("$SYS/#"), Request::publish("$SYS/x")] {
        assert_eq!(ask(&mut allow, None, request.clone()), Answer::Abstain);
        assert!(denied(&ask(&mut deny, None, request)));
    }
}

#[test]
fn a_rule_with_a_username_is_about_that_user_alone() {
    let mut acl = acl(r#"{"rules": [{"effect": "allow", "filter": "devices/${username}/#"}]}"#);
    assert_eq!(ask(&mut acl, Some("ann"), Request::publish("devices/ann/x")), Answer::Allow);
    assert_eq!(ask(&mut acl, Some("ann"), Request::subscribe("devices/ann/#")), Answer::Allow);
    assert_eq!(ask(&mut acl, Some("bob"), Request::publish("devices/ann/x")), Answer::Abstain);
    assert_eq!(ask(&mut acl, None, Request::publish("devices//x")), Answer::Abstain);
    for evil in ["+", "#", "ann/x"] {
        for topic in ["devices/ann/x", "devices/+/x", "devices/#/x", "devices/ann/x/y"] {
            let request = Request::publish(topic);
            assert_eq!(ask(&mut acl, Some(evil), request), Answer::Abstain, "{evil} {topic}");
            let request = Request::subscribe("devices/+/#");
            assert_eq!(ask(&mut acl, Some(evil), request), Answer::Abstain, "{evil}");
        }
    }
}

#[test]
fn users_client_ids_and_actions_narrow_a_rule() {
    let mut acl = acl(r#"{"rules": [
        {"effect": "allow", "filter": "u", "users": ["zoe", "bob"]},
        {"effect": "allow", "filter": "c", "client_ids": ["c7"]},
        {"effect": "allow", "filter": "o", "client_ids": ["c8"]},
        {"effect": "allow", "filter": "p", "actions": ["publish"]}
    ]}"#);
    assert_eq!(ask(&mut acl, Some("bob"), Request::publish("u")), Answer::Allow);
    assert_eq!(ask(&mut acl, Some("eve"), Request::publish("u")), Answer::Abstain);
    assert_eq!(ask(&mut acl, None, Request::publish("u")), Answer::Abstain);
    assert_eq!(ask(&mut acl, None, Request::publish("c")), Answer::Allow);
    assert_eq!(ask(&mut acl, None, Request::publish("o")), Answer::Abstain);
    assert_eq!(ask(&mut acl, None, Request::publish("p")), Answer::Allow);
    assert_eq!(ask(&mut acl, None, Request::subscribe("p")), Answer::Abstain);
    assert_eq!(ask(&mut acl, None, Request::receive("p")), Answer::Abstain);
}

#[test]
fn a_will_is_judged_like_a_publication() {
    let mut acl = acl(r#"{"rules": [
        {"effect": "deny", "filter": "gone/x", "actions": ["publish"]},
        {"effect": "allow", "filter": "gone/#", "actions": ["publish"]}
    ]}"#);
    assert!(denied(&ask(&mut acl, None, Request::will("gone/x"))));
    assert_eq!(ask(&mut acl, None, Request::will("gone/y")), Answer::Allow);
}

#[test]
fn max_qos_bounds_what_is_allowed() {
    let mut acl = acl(r#"{"rules": [{"effect": "allow", "filter": "a", "max_qos": 1}]}"#);
    let answer = ask(&mut acl, None, Request::subscribe("a").qos(Qos::ExactlyOnce));
    assert_eq!(answer, Answer::AllowUpTo(Qos::AtLeastOnce));
}

#[test]
fn the_plugin_asks_only_for_actions_that_its_rules_can_answer() {
    let authorize = |config| test::init::<TopicAcl>(config).unwrap().1.authorize;
    assert_eq!(
        authorize(r#"{"rules": [{"effect": "allow", "filter": "a", "actions": ["publish"]}]}"#),
        Actions::PUBLISH
    );
    assert_eq!(
        authorize(r#"{"rules": [{"effect": "deny", "filter": "a", "actions": ["receive"]}]}"#),
        Actions::RECEIVE
    );
    assert_eq!(
        authorize(
            r#"{"no_match": "deny",
                "rules": [{"effect": "allow", "filter": "a", "actions": ["publish"]}]}"#
        ),
        Actions::PUBLISH | Actions::SUBSCRIBE
    );
}

#[test]
fn answers_may_be_reused_for_as_long_as_the_operator_says() {
    let reuse = |config| {
        let decision = acl(config).authorize(&Client::new(1, "c", None), &Request::publish("a"));
        decision.unwrap().reuse_ms
    };
    assert_eq!(reuse(r#"{"rules": [{"effect": "allow", "filter": "a"}]}"#), 60_000);
    assert_eq!(reuse(r#"{"reuse_ms": 0, "rules": [{"effect": "allow", "filter": "a"}]}"#), 0);
}

#[test]
fn a_bad_configuration_names_the_rule_and_what_is_wrong() {
    let good = r#"{"effect": "allow", "filter": "a"}"#;
    for (rule, part) in [
        (
            r#"{"effect": "allow", "filter": "a/#/b"}"#,
            "rule 2: filter: \"a/#/b\": # must be the last",
        ),
        (
            r#"{"effect": "allow", "filter": "${name}"}"#,
            "rule 2: filter: \"${name}\": ${name} is unk",
        ),
        (r#"{"effect": "allow", "filter": "a", "user": ["x"]}"#, "rule 2: unknown field `user`"),
        (r#"{"effect": "permit", "filter": "a"}"#, "rule 2: unknown variant `permit`"),
        (r#"{"effect": "allow"}"#, "rule 2: missing field `filter`"),
        (r#"{"effect": "allow", "filter": "a", "users": []}"#, "rule 2: users: is empty"),
        (r#"{"effect": "allow", "filter": "a", "client_ids": []}"#, "rule 2: client_ids: is empty"),
        (r#"{"effect": "allow", "filter": "a", "actions": []}"#, "rule 2: actions: is empty"),
        (
            r#"{"effect": "allow", "filter": "a", "actions": ["pub"]}"#,
            "rule 2: unknown variant `pub`",
        ),
        (r#"{"effect": "allow", "filter": "a", "max_qos": 3}"#, "rule 2: max_qos: 3 is no QoS"),
        (r#"{"effect": "deny", "filter": "a", "max_qos": 1}"#, "rule 2: max_qos belongs to"),
    ] {
        let config = format!(r#"{{"rules": [{good}, {rule}]}}"#);
        let error = test::init::<TopicAcl>(&config).map(|_| ()).unwrap_err();
        assert!(error.contains(part), "{rule}: {error}");
    }
    for (config, part) in [
        (r#"{"rules": []}"#, "rules: is empty"),
        ("{}", "write either rules"),
        (r#"{"rules": [], "acl": "topic a"}"#, "write either rules"),
        (r#"{"rules": [], "nomatch": "deny"}"#, "unknown field `nomatch`"),
        (r#"{"rules": [], "no_match": "allow"}"#, "no_match: unknown variant `allow`"),
    ] {
        let error = test::init::<TopicAcl>(config).map(|_| ()).unwrap_err();
        assert!(error.contains(part), "{config}: {error}");
    }
}
