//! A file in mosquitto's format gives the answers that mosquitto gives.

use super::*;

fn file(lines: &str) -> TopicAcl {
    let config = serde_json::json!({ "acl": { "file": "acl", "content": lines } });
    test::init(&config.to_string()).unwrap().0
}

fn may(acl: &mut TopicAcl, id: &str, username: Option<&str>, request: Request) -> bool {
    match acl.authorize(&Client::new(7, id, username), &request).unwrap().answer {
        Answer::Allow => true,
        answer => {
            assert!(denied(&answer), "{answer:?}");
            false
        }
    }
}

const FILE: &str = "# rooms
topic read public/#
topic deny public/secret

user alice
topic home/+/lamp
topic write log/alice
topic deny home/cellar/lamp
topic readwrite with space/x

user bob

pattern write devices/%c/status
pattern %u/%c-in/#
pattern deny devices/broken/status
";

#[test]
fn topics_before_the_first_user_are_for_clients_without_a_name() {
    let mut acl = file(FILE);
    for (username, allowed) in [(None, true), (Some("alice"), false), (Some("eve"), false)] {
        assert_eq!(may(&mut acl, "c", username, Request::receive("public/a")), allowed);
    }
    assert!(!may(&mut acl, "c", None, Request::publish("public/a")));
    assert!(!may(&mut acl, "c", None, Request::receive("public/secret")));
    assert!(may(&mut acl, "c", None, Request::receive("public")));
}

#[test]
fn a_user_has_the_topics_below_the_name_and_a_denial_comes_first_wherever_it_stands() {
    let mut acl = file(FILE);
    let mut alice = |request| may(&mut acl, "c", Some("alice"), request);
    assert!(alice(Request::publish("home/hall/lamp")) && alice(Request::receive("home/hall/lamp")));
    assert!(!alice(Request::publish("home/cellar/lamp")));
    assert!(alice(Request::publish("log/alice")) && alice(Request::will("log/alice")));
    assert!(!alice(Request::receive("log/alice")));
    assert!(alice(Request::publish("with space/x")));
    assert!(!may(&mut acl, "c", Some("bob"), Request::publish("home/hall/lamp")));
}

#[test]
fn a_pattern_is_for_everyone_with_the_name_and_the_client_id_filled_in() {
    let mut acl = file(FILE);
    for username in [None, Some("alice"), Some("bob"), Some("eve")] {
        assert!(may(&mut acl, "c7", username, Request::publish("devices/c7/status")));
        assert!(!may(&mut acl, "c7", username, Request::receive("devices/c7/status")));
        assert!(!may(&mut acl, "c7", username, Request::publish("devices/c8/status")));
    }
    assert!(may(&mut acl, "c7", Some("eve"), Request::receive("eve/c7-in/x")));
    assert!(!may(&mut acl, "c7", Some("eve"), Request::receive("eve/c8-in/x")));
    assert!(!may(&mut acl, "c7", None, Request::receive("/c7-in/x")), "a client without a name");
    assert!(!may(&mut acl, "broken", None, Request::publish("devices/broken/status")));
}

#[test]
fn a_name_or_a_client_id_with_a_wildcard_or_a_level_never_widens() {
    let mut acl = file(FILE);
    for evil in ["+", "#", "a+", "b#"] {
        assert!(!may(&mut acl, evil, None, Request::publish("devices/c7/status")), "{evil}");
        assert!(!may(&mut acl, evil, None, Request::publish(format!("devices/{evil}/status"))));
        assert!(!may(&mut acl, "c", Some(evil), Request::publish("devices/c/status")), "{evil}");
        assert!(!may(&mut acl, "c", Some(evil), Request::receive("eve/c-in/x")), "{evil}");
    }
    // Its own topics a user has all the same, as in mosquitto.
    assert!(may(&mut acl, "#", Some("alice"), Request::publish("log/alice")));
    assert!(!may(&mut acl, "c7/x", None, Request::publish("devices/c7/x/status")));
    let mut denying = file("topic #\npattern deny %c/#\npattern a/#");
    assert!(!may(&mut denying, "a/b", Some("eve"), Request::publish("a/b/c")), "denied is denied");
    assert!(may(&mut denying, "a/b", Some("eve"), Request::publish("a/c")));
}

#[test]
fn topics_of_the_broker_are_matched_by_lines_that_begin_with_a_dollar_sign_alone() {
    let mut acl = file("topic #\ntopic +/x\ntopic read $SYS/#\npattern %c/x");
    assert!(may(&mut acl, "c", None, Request::receive("$SYS/broker/uptime")));
    assert!(!may(&mut acl, "c", None, Request::publish("$SYS/x")));
    let mut acl = file("topic #\npattern %c/x");
    assert!(!may(&mut acl, "$SYSTEM", None, Request::receive("$SYS/x")));
}

#[test]
fn subscribing_is_allowed_and_what_may_not_be_read_is_not_delivered() {
    let (mut acl, registration) = test::init::<TopicAcl>(r#"{"acl": "topic write a"}"#).unwrap();
    assert_eq!(registration.authorize, Actions::PUBLISH | Actions::SUBSCRIBE | Actions::RECEIVE);
    assert!(may(&mut acl, "c", None, Request::subscribe("#")));
    assert!(!may(&mut acl, "c", None, Request::receive("a")));
}

#[test]
fn what_no_line_is_about_is_denied_unless_the_operator_wants_the_next_plugin_to_be_asked() {
    let mut acl = file("user alice\ntopic a\n");
    assert!(!may(&mut acl, "c", Some("bob"), Request::publish("a")));
    let mut acl =
        test::init::<TopicAcl>(r#"{"acl": "topic deny b\ntopic a", "no_match": "abstain"}"#)
            .unwrap()
            .0;
    assert_eq!(ask(&mut acl, None, Request::publish("c")), Answer::Abstain);
    assert!(denied(&ask(&mut acl, None, Request::publish("b"))));
    assert_eq!(ask(&mut acl, None, Request::publish("a")), Answer::Allow);
}

#[test]
fn a_garbled_file_is_an_error_that_names_the_file_and_the_line() {
    for (line, part) in [
        ("topics a", "begins with \"topics\""),
        (" # comment", "begins with \"#\""),
        ("topic", "names no topic"),
        ("topic reed a", "\"reed\" is no access"),
        ("topic read ", "names no topic"),
        ("user ", "names no user"),
        ("topic a/#/b", "# must be the last level"),
        ("topic a+", "must stand alone"),
        ("pattern %c#", "must stand alone"),
    ] {
        // What a trailing access word alone means: a topic of that name.
        if line == "topic read " {
            assert!(may(&mut file(line), "c", None, Request::publish("read")));
            continue;
        }
        let content = format!("topic x\r\n\r\n{line}\r\n");
        let config = serde_json::json!({ "acl": { "file": "acl.conf", "content": content } });
        let error = test::init::<TopicAcl>(&config.to_string()).map(|_| ()).unwrap_err();
        assert!(error.starts_with("acl: acl.conf:3: ") && error.contains(part), "{line}: {error}");
    }
    for (content, part) in
        [("\n", "acl: acl.conf is empty"), ("user a\n#x", "no topic and no pattern")]
    {
        let config = serde_json::json!({ "acl": { "file": "acl.conf", "content": content } });
        let error = test::init::<TopicAcl>(&config.to_string()).map(|_| ()).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}
