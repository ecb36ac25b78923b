//! Every mistake is found, all of them at once, each where it is.

use super::*;

/// Problems of a text appended to a good listener of five lines: the first line of `text` is line 6.
pub(super) fn after_listener(text: &str) -> Vec<String> {
    errors(&format!("{LISTENER}{text}"))
}

#[test]
fn three_different_mistakes_are_reported_together_with_their_lines() {
    let text = "[limits]\nmax_conections = 5\nmax_packet_size = \"1 parsec\"\n\n[[listener]]\n\
                name = \"mqtt\"\nbind = \"127.0.0.1:1883\"\nauthorize = [\"topic-acl\"]\n";
    let report = report(text);
    let places: Vec<_> = report.errors.iter().map(|p| (p.line, p.column)).collect();
    assert_eq!(places, [(2, 1), (3, 19), (8, 14)]);
    assert_eq!(report.errors[0].help.as_deref(), Some("did you mean `max_connections`?"));
    assert!(report.errors[1].message.contains("`1 parsec` is not a size"));
    assert!(report.errors[2].message.contains("there is no plugin `topic-acl`"));
}

#[test]
fn an_error_is_rendered_with_its_line_and_a_marker() {
    let text =
        format!("{LISTENER}\n[limits]\nqueue = {{ messages = 1 }}\n\n\nmax_conections = 5\n");
    assert_eq!(
        report(&text).to_string(),
        "\
error: unknown key `max_conections`
  --> wasmqtt.toml:11:1
   |
11 | max_conections = 5
   | ^^^^^^^^^^^^^^ did you mean `max_connections`?

1 error"
    );
}

#[test]
fn a_problem_with_the_whole_file_is_rendered_without_a_line() {
    let rendered = report("").to_string();
    assert_eq!(
        rendered,
        "error: there is no listener: nobody could connect\n  --> wasmqtt.toml\n   = add [[listener]] with \
         name = \"mqtt\" and bind = \"127.0.0.1:1883\"\n\n1 error"
    );
}

#[test]
fn an_unknown_key_without_a_near_one_names_all_that_are_known() {
    assert_eq!(
        after_listener("[log]\ncolour = true"),
        ["7:1 unknown key `colour` (known here: level, format)"]
    );
}

#[test]
fn unknown_keys_are_found_at_every_level() {
    let found = after_listener(
        "limits = { max_packt_size = 100, queue = { byte = 2000 } }\nauthorise = []\n[[plugin]]\n\
         name = \"p\"\npath = \"p.wasm\"\npth = \"x\"\nlimits = { memori = 1 }\ngrants = { topic = [] }\n\
         [broker]\nworker = 1\n[admin]\nbin = 1\n[brokre]\n",
    );
    let expected = [
        ("6:12", "max_packt_size", "max_packet_size"),
        ("6:44", "byte", "bytes"),
        ("7:1", "authorise", "authorize"),
        ("11:1", "pth", "path"),
        ("12:12", "memori", "memory"),
        ("13:12", "topic", "topics"),
        ("15:1", "worker", "workers"),
        ("17:1", "bin", "bind"),
        ("18:2", "brokre", "broker"),
    ];
    let expected = expected
        .map(|(at, key, near)| format!("{at} unknown key `{key}` (did you mean `{near}`?)"));
    assert_eq!(found, expected);
}

#[test]
fn a_value_of_the_wrong_type_is_named_with_the_type_it_must_have() {
    for (text, error) in [
        ("[broker]\nworkers = \"4\"", "7:11 `broker.workers` must be an integer, not a string"),
        ("[broker]\ndata_dir = 1", "7:12 `broker.data_dir` must be a string, not an integer"),
        ("[log]\nlevel = true", "7:9 `log.level` must be a string, not a boolean"),
        ("[limits]\nqueue = 1", "7:9 `limits.queue` must be a table, not an integer"),
        ("[limits]\nqueue.bytes = 1.5", "7:15 `limits.queue.bytes` must be a size, not a float"),
        (
            "[limits]\nconnect_timeout = 10",
            "7:19 `limits.connect_timeout` must be a duration, not an integer",
        ),
        ("anonymous = 1", "6:13 `listener.anonymous` must be a boolean, not an integer"),
        (
            "authorize = \"p\"",
            "6:13 `listener.authorize` must be an array of strings, not a string",
        ),
        (
            "authorize = [1]",
            "6:14 `listener.authorize` must be an array of strings, not an integer",
        ),
        ("[plugin]\nname = \"p\"", "6:1 `plugin` must be an array of tables, not a table"),
        ("[[broker]]", "6:1 `broker` must be a table, not an array"),
    ] {
        let listener = match text.starts_with("anonymous") {
            true => LISTENER.replace("anonymous = true", "transform = []"),
            false => LISTENER.into(),
        };
        let found = errors(&format!("{listener}{text}"));
        assert_eq!(found.len(), 1, "{text} {found:#?}");
        assert!(found[0].starts_with(error), "{text} {found:#?}");
    }
}

#[test]
fn a_value_out_of_range_is_named_with_its_range() {
    for (text, range) in [
        ("[broker]\nworkers = 257", "`broker.workers` is 257: it must be 0 to 256"),
        ("[broker]\nworkers = -1", "is -1: it must be 0 to 256"),
        ("[broker]\nsys_interval = \"2d\"", "is 2d: it must be 0s to 24h"),
        ("[limits]\nqueue.age = \"366d\"", "`limits.queue.age` is 366d: it must be 0s to 365d"),
        ("[broker]\nserver_reference = \"a:0\"", "`server_reference`: `a:0` names no server"),
        ("[broker]\nserver_reference = \"\"", "`server_reference`: `` names no server"),
        ("[broker]\nserver_reference = \"a  b\"", "`server_reference`: `a  b` names no server"),
        ("[limits]\nmax_packet_size = \"256MiB\"", "is 256MiB: it must be 64B to 268435455B"),
        ("[limits]\nmax_packet_size = 63", "is 63: it must be 64B to 268435455B"),
        ("[limits]\nmax_packet_size = -1", "is -1: it must be 64B to 268435455B"),
        ("[limits]\nreceive_maximum = 0", "is 0: it must be 1 to 65535"),
        ("[limits]\ntopic_alias_maximum = 65536", "is 65536: it must be 0 to 65535"),
        ("[limits]\nmax_inflight = 0", "is 0: it must be 1 to 65535"),
        ("[limits]\nsession_expiry_max = \"49711d\"", "it must be 0s to 49710d6h28m14s"),
        ("[limits]\nsession_expiry_max = \"1s5ms\"", "must be whole seconds"),
        ("[limits]\nqueue.messages = 0", "`limits.queue.messages` is 0: it must be 1 to 10000000"),
        ("[limits]\nqueue.bytes = \"65GiB\"", "is 65GiB: it must be 1KiB to 64GiB"),
        ("[limits]\nmax_connections = 0", "is 0: it must be 1 to 10000000"),
        ("[limits]\nconnect_timeout = \"99ms\"", "is 99ms: it must be 100ms to 5m"),
        ("[limits]\nconnect_timeout = 0", "is 0: it must be 100ms to 5m"),
        ("[limits]\nkeep_alive_max = \"65536s\"", "it must be 0s to 18h12m15s"),
        ("[limits]\nmax_subscriptions = 0", "is 0: it must be 1 to 1000000"),
        ("[limits]\nmax_topic_levels = 0", "is 0: it must be 1 to 65535"),
        ("[limits]\nmax_topic_length = 65536", "is 65536: it must be 1B to 65535B"),
        ("[limits]\nmax_filters_per_subscribe = 0", "is 0: it must be 1 to 65535"),
        ("[limits]\nmax_user_properties = 65536", "is 65536: it must be 0 to 65535"),
        ("[limits]\nmessage_expiry_max = \"4294967296s\"", "it must be 0s to 49710d6h28m15s"),
        ("[limits]\nmax_sessions_per_name = 1000001", "is 1000001: it must be 0 to 1000000"),
        ("[limits]\nflapping.connects = -1", "`limits.flapping.connects` is -1: it must be 0 to"),
        ("[limits]\nflapping.within = \"25h\"", "is 25h: it must be 1s to 24h"),
        ("[limits]\nflapping.ban = 0", "`limits.flapping.ban` is 0: it must be 1s to 30d"),
        ("[limits]\nauth.rounds = 0", "`limits.auth.rounds` is 0: it must be 1 to 100"),
        ("[limits]\nauth.data = \"2MiB\"", "is 2MiB: it must be 16B to 1MiB"),
        ("[limits]\nauth.timeout = \"6m\"", "is 6m: it must be 1s to 5m"),
        ("[limits]\nauth.reauthentications = -1", "is -1: it must be 0 to 1000000"),
        ("[limits]\nauth.within = 0", "`limits.auth.within` is 0: it must be 1s to 24h"),
        ("[limits]\nmax_authentications = 0", "is 0: it must be 1 to 1000000"),
        ("[limits]\nmax_sessions = 0", "is 0: it must be 1 to 100000000"),
        ("[limits]\nmax_retained_messages = 0", "is 0: it must be 1 to 100000000"),
        ("[limits]\nmax_retained_bytes = \"2TiB\"", "is 2TiB: it must be 1KiB to 1TiB"),
        ("\nmax_qos = 3", "`listener.max_qos` is 3: it must be 0 to 2"),
        ("[limits]\nmax_inflight = 99999999999999999999", "does not fit into 64 bits"),
    ] {
        let found = after_listener(text);
        assert_eq!(found.len(), 1, "{text} {found:#?}");
        assert!(found[0].starts_with("7:") && found[0].contains(range), "{text} {found:#?}");
    }
}

#[test]
fn the_ends_of_a_range_belong_to_it() {
    let limits = good(&format!(
        "{LISTENER}[limits]\nmax_packet_size = 268435455\nreceive_maximum = 1\nmax_inflight = 65535\n\
         session_expiry_max = \"4294967294s\"\nconnect_timeout = \"100ms\"\nkeep_alive_max = \"65535s\"\n\
         max_retained_bytes = \"1TiB\""
    ))
    .limits;
    assert_eq!((limits.max_packet_size, limits.receive_maximum), (268_435_455, 1));
    assert_eq!(limits.session_expiry_max.as_secs(), 4_294_967_294);
    assert_eq!(limits.keep_alive_max.as_secs(), 65_535);
    assert_eq!(limits.max_retained_bytes, 1 << 40);
}

#[test]
fn a_size_or_duration_that_is_none_is_refused_with_its_form() {
    let found = after_listener("[limits]\nmax_packet_size = \"1M\"\nconnect_timeout = \"10\"");
    assert!(
        found[0].starts_with("7:19 `limits.max_packet_size`: `1M` is not a size (write a size as")
    );
    assert!(found[1].starts_with("8:19 `limits.connect_timeout`: `10` is not a duration (write a"));
}

#[test]
fn a_word_that_is_none_is_refused_with_the_nearest() {
    for (text, error) in [
        ("[log]\nlevel = \"warning\"", "`log.level` cannot be `warning` (did you mean `warn`?)"),
        (
            "[broker]\nshared_strategy = \"round_robin\"",
            "`broker.shared_strategy` cannot be `round_robin` (did you mean `round-robin`?)",
        ),
        (
            "[broker]\nshare_groups.jobs = \"stick\"",
            "`broker.share_groups.jobs` cannot be `stick` (did you mean `sticky`?)",
        ),
        (
            "[broker]\nshare_groups.\"a/b\" = \"sticky\"",
            "`broker.share_groups`: `a/b` is no share name (write NAME of $share/NAME/FILTER)",
        ),
        ("[log]\nformat = \"xml\"", "`log.format` cannot be `xml` (known here: text, json)"),
        (
            "[limits]\nqueue.overflow = \"drop_oldest\"",
            "`limits.queue.overflow` cannot be `drop_oldest` (did you mean `drop-oldest`?)",
        ),
        (
            "on_duplicate_client_id = \"takeover\"",
            "`listener.on_duplicate_client_id` cannot be `takeover` (did you mean `take-over`?)",
        ),
        (
            "on_denied_publish = \"ignore\"",
            "`listener.on_denied_publish` cannot be `ignore` (known here: acknowledge, disconnect)",
        ),
    ] {
        let found = after_listener(text);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].ends_with(error), "{found:#?}");
    }
}

#[test]
fn the_versions_a_listener_takes_are_named_once_and_there_is_one() {
    for (list, error) in [
        ("[]", "6:13 `listener.protocols` is empty: nobody could connect ("),
        ("[\"5\"]", "6:14 `listener.protocols` cannot name `5` (known here: 3.1, 3.1.1, 5.0)"),
        ("[\"3.11\"]", "6:14 `listener.protocols` cannot name `3.11` (did you mean `3.1`?)"),
        ("[\"5.0\", \"5.0\"]", "6:21 `listener.protocols` names `5.0` twice"),
        ("\"5.0\"", "6:13 `listener.protocols` must be an array of strings, not a string"),
    ] {
        let found = after_listener(&format!("protocols = {list}"));
        assert_eq!(found.len(), 1, "{list} {found:#?}");
        assert!(found[0].starts_with(error), "{list} {found:#?}");
    }
}

#[test]
fn names_are_unique_among_listeners_and_among_plugins() {
    let found = after_listener(
        "transform = [\"mqtt\"]\n[[listener]]\nname = \"mqtt\"\nbind = \"127.0.0.1:1884\"\n\
         [[plugin]]\nname = \"mqtt\"\npath = \"a\"\n[[plugin]]\nname = \"mqtt\"\npath = \"b\"",
    );
    assert_eq!(
        found,
        [
            "8:8 the name `mqtt` is taken (already used at wasmqtt.toml:2)",
            "14:8 the name `mqtt` is taken (already used at wasmqtt.toml:11)",
        ]
    );
}

#[test]
fn a_name_is_letters_digits_hyphens_and_underscores() {
    for name in ["", "a.b", "a b", "ä", "a/b", &"x".repeat(65)] {
        let found = errors(&LISTENER.replace("\"mqtt\"", &format!("\"{name}\"")));
        assert_eq!(found.len(), 1, "{name}");
        assert!(found[0].contains("cannot be a name (a name is 1 to 64 letters"), "{found:?}");
    }
    let name = "x-_9".repeat(16);
    assert_eq!(good(&LISTENER.replace("mqtt", &name)).listeners[0].name, name);
}

#[test]
fn a_chain_cannot_name_a_plugin_that_does_not_exist() {
    let plugin = "[[plugin]]\nname = \"topic-acl\"\npath = \"x.wasm\"\n";
    for (chain, help) in [
        ("topic_acl", "did you mean `topic-acl`?"),
        ("topicacl", "did you mean `topic-acl`?"),
        ("other", "known here: topic-acl"),
    ] {
        for key in ["authenticate", "authorize", "transform"] {
            let found = after_listener(&format!("{key} = [\"{chain}\"]\n{plugin}"));
            let column = key.len() + 5;
            let error =
                format!("6:{column} `listener.{key}`: there is no plugin `{chain}` ({help})");
            assert_eq!(found, [error]);
        }
    }
    assert_eq!(
        after_listener("authorize = [\"topic-acl\"]"),
        ["6:14 `listener.authorize`: there is no plugin `topic-acl` (add it as a [[plugin]])"]
    );
}

#[test]
fn a_plugin_with_other_mistakes_still_exists_for_the_chains() {
    let found = after_listener("authorize = [\"acl\"]\n[[plugin]]\nname = \"acl\"\npath = 5\n");
    assert_eq!(found, ["9:8 `plugin.path` must be a string, not an integer"]);
}

#[test]
fn a_chain_cannot_name_a_plugin_twice() {
    let plugins =
        "[[plugin]]\nname = \"a\"\npath = \"a\"\n[[plugin]]\nname = \"b\"\npath = \"b\"\n";
    assert_eq!(
        after_listener(&format!("authorize = [\"a\", \"b\", \"a\"]\n{plugins}")),
        ["6:24 `listener.authorize` names plugin `a` twice (a chain asks each plugin once)"]
    );
}

#[test]
fn a_configuration_has_a_listener() {
    for text in ["", "# nothing\n", "listener = []", "[broker]\nworkers = 2\n"] {
        let found = errors(text);
        assert_eq!(found.len(), 1, "{text}");
        assert!(found[0].starts_with("0:0 there is no listener"), "{found:?}");
    }
    assert!(errors("[broker]\nworkers = -2\n")[0].starts_with("0:0 there is no listener"));
}

#[test]
fn what_is_required_is_missed_at_its_table() {
    let found = errors("\n[[listener]]\n\n[[plugin]]\n");
    assert_eq!(
        found,
        [
            "2:1 `name` is missing from this listener (add name = \"example\")",
            "2:1 `bind` is missing from this listener (add bind = \"127.0.0.1:1883\")",
            "4:1 `name` is missing from this plugin (add name = \"example\")",
            "4:1 `path` is missing from this plugin (add path = \"target/plugins/example.wasm\")",
        ]
    );
}

#[test]
fn a_listener_may_only_tighten_limits() {
    let global = "[limits]\nkeep_alive_max = \"60s\"\nqueue.messages = 10\nmax_sessions_per_name = 5\n\
                  message_expiry_max = \"1h\"\nflapping.connects = 3\n";
    for (text, error) in [
        (
            "max_packet_size = \"2MiB\"",
            "max_packet_size` is looser than `limits.max_packet_size` (at most 1MiB",
        ),
        ("receive_maximum = 1025", "(at most 1024 here, or raise it in [limits])"),
        ("session_expiry_max = \"25h\"", "(at most 24h here"),
        ("queue.messages = 11", "`listener.limits.queue.messages` is looser than"),
        ("queue = { bytes = \"17MiB\" }", "`listener.limits.queue.bytes` is looser than"),
        ("keep_alive_max = 0", "`listener.limits.keep_alive_max` is looser than"),
        ("connect_timeout = \"11s\"", "`listener.limits.connect_timeout` is looser than"),
        ("max_sessions_per_name = 0", "`listener.limits.max_sessions_per_name` is looser than"),
        ("max_sessions_per_name = 6", "(at most 5 here"),
        ("message_expiry_max = 0", "`listener.limits.message_expiry_max` is looser than"),
        ("flapping = { connects = 4 }", "`listener.limits.flapping.connects` is looser than"),
        ("auth = { rounds = 9 }", "`listener.limits.auth.rounds` is looser than"),
        ("auth = { timeout = \"31s\" }", "(at most 30s here"),
        ("max_user_properties = 101", "(at most 100 here"),
        ("max_filters_per_subscribe = 1001", "(at most 1000 here"),
        ("max_authentications = 5", "`max_authentications` holds for the whole broker"),
        ("max_sessions = 5", "`max_sessions` holds for the whole broker, not for one listener"),
        ("max_retained_bytes = \"1MiB\"", "`max_retained_bytes` holds for the whole broker"),
        ("max_retained_messages = 1", "`max_retained_messages` holds for the whole broker"),
    ] {
        let found = after_listener(&format!("[listener.limits]\n{text}\n{global}"));
        assert_eq!(found.len(), 1, "{text} {found:#?}");
        assert!(found[0].starts_with("7:") && found[0].contains(error), "{text} {found:#?}");
    }
}

#[test]
fn nothing_is_compared_to_a_limit_that_could_not_be_read() {
    let found =
        after_listener("limits = { max_inflight = 2000 }\n[limits]\nmax_inflight = \"3000\"");
    assert_eq!(found, ["8:16 `limits.max_inflight` must be an integer, not a string"]);
}

#[test]
fn a_protocol_that_does_not_exist_is_named_and_its_address_may_be_anything() {
    let other = LISTENER.replace("127.0.0.1:1883\"", "/x\"\nprotocol = \"udp\"");
    assert_eq!(
        errors(&other),
        ["4:12 protocol `udp` does not exist (known here: tcp, ws, tls, wss, unix)"]
    );
    assert_eq!(
        after_listener("protocol = \"tpc\""),
        ["6:12 protocol `tpc` does not exist (did you mean `tcp`?)"]
    );
}

#[test]
fn grants_that_are_none_are_refused_by_name() {
    let found = after_listener(
        "transform = [\"p\"]\n[[plugin]]\nname = \"p\"\npath = \"p\"\n[plugin.grants]\n\
         http = [\"idp.example/\", \"https://idp.example/\"]\nkv = \"1MiB\"\nmetrics = true\nrevocation = true\nhtpp = 1\n",
    );
    assert_eq!(
        found,
        [
            "11:9 `plugin.grants.http`: `idp.example/`: it must begin with http:// or https:// (write a prefix of URLs, as in \"https://auth.example.com/mqtt/\")",
            "15:1 unknown key `htpp` (did you mean `http`?)",
        ]
    );
}

#[test]
fn a_plugin_is_checked_value_by_value() {
    for (text, error) in [
        (
            "sha256 = \"abc\"",
            "`plugin.sha256`: `abc` is not a SHA-256 (write 64 hexadecimal digits)",
        ),
        ("limits.memory = \"63KiB\"", "`plugin.limits.memory` is 63KiB: it must be 64KiB to 1GiB"),
        ("limits.call = \"0s\"", "`plugin.limits.call` is 0s: it must be 1ms to 1m"),
        ("limits.authenticate = \"61s\"", "is 61s: it must be 1ms to 1m"),
        ("limits.log_lines_per_second = -1", "is -1: it must be 0 to 100000"),
        ("limits.host_call_bytes = \"65MiB\"", "is 65MiB: it must be 1KiB to 64MiB"),
        (
            "on_failure = \"ajar\"",
            "`plugin.on_failure` cannot be `ajar` (known here: closed, open)",
        ),
        (
            "grants.revocation = \"yes\"",
            "`plugin.grants.revocation` must be a boolean, not a string (write true or false)",
        ),
        ("limits.http_time = \"0s\"", "`plugin.limits.http_time` is 0s: it must be 1ms to 1m"),
        ("limits.http_request = \"1B\"", "is 1B: it must be 1KiB to 16MiB"),
        ("limits.http_reply = \"17MiB\"", "is 17MiB: it must be 1KiB to 16MiB"),
        (
            "limits.http_packet_time = \"11m\"",
            "`plugin.limits.http_packet_time` is 11m: it must be 1ms to 10m",
        ),
        ("limits.http_at_once = 0", "`plugin.limits.http_at_once` is 0: it must be 1 to 64"),
        (
            "grants.http = [\"https://a/?b\"]",
            "`plugin.grants.http`: `https://a/?b`: a prefix has neither query nor fragment",
        ),
        ("limits.kv = \"1B\"", "`plugin.limits.kv` is 1B: it must be 1KiB to 1GiB"),
        ("grants.kv = \"2GiB\"", "`plugin.grants.kv` is 2GiB: it must be 1KiB to 1GiB"),
        (
            "grants.kv = []",
            "`plugin.grants.kv` must be a boolean, not an array (write true or false)",
        ),
        ("grants.publish = [\"a/#/b\"]", "`plugin.grants.publish`: `a/#/b` is not a topic filter"),
        ("limits.queued_events = 0", "is 0: it must be 1 to 1000000"),
        ("limits.queued_publications = 100001", "is 100001: it must be 1 to 100000"),
        ("limits.observe = \"61s\"", "it must be 1ms to 1m"),
        ("grants.topics = [\"a/#/b\"]", "`#` must be the whole of the last level"),
        ("grants.topics = [\"\"]", "`plugin.grants.topics`: `` is empty"),
        (
            "grants.topics = [\"$share/g/a\"]",
            "is a shared subscription: write the topic filter alone",
        ),
        ("config = 5", "`plugin.config` must be a table, not an integer (write [plugin.config])"),
        ("config = { a = [nan] }", "JSON, which plugins are configured with, has no `NaN`"),
    ] {
        let found = after_listener(&format!(
            "transform = [\"p\"]\n[[plugin]]\nname = \"p\"\npath = \"p\"\n{text}"
        ));
        assert_eq!(found.len(), 1, "{text} {found:#?}");
        assert!(found[0].starts_with("10:") && found[0].contains(error), "{text} {found:#?}");
    }
    assert_eq!(
        after_listener("[[plugin]]\nname = \"p\"\npath = \"\""),
        ["8:8 `plugin.path` is empty"]
    );
}

#[test]
fn an_unset_variable_is_an_error_where_it_stands() {
    let found = after_listener(
        "[broker]\ndata_dir = \"\"\"\n  a ${MISSING_ONE}\n b ${WASMQTT_BIND} ${MISSING_TWO}\"\"\"\n",
    );
    let help = "for a literal `${` write `$${`";
    assert_eq!(
        found,
        [
            format!("8:5 the environment variable `MISSING_ONE` is not set ({help})"),
            format!("9:20 the environment variable `MISSING_TWO` is not set ({help})"),
        ]
    );
}

#[test]
fn what_is_not_a_variable_is_an_error_outside_of_plugin_config() {
    let found = after_listener("[broker]\ndata_dir = \"/var/${username}\"");
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("7:18 `${username}` does not name an environment variable"));
}

#[test]
fn a_syntax_error_does_not_hide_the_other_mistakes() {
    let found =
        after_listener("[limits]\nmax_inflight = \nmax_inflihgt = 7\n[log]\nlevel = \"all\"\n");
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(found[0].starts_with("7:"), "{found:#?}");
    assert_eq!(found[1], "8:1 unknown key `max_inflihgt` (did you mean `max_inflight`?)");
    assert!(found[2].starts_with("10:9 `log.level` cannot be `all`"), "{found:#?}");
}

#[test]
fn an_unset_variable_does_not_hide_a_plugin_that_does_not_exist() {
    let found = after_listener("authorize = [\"acl\"]\n[broker]\ndata_dir = \"${MISSING}\"\n");
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(
        found[0].starts_with("6:14 `listener.authorize`: there is no plugin `acl`"),
        "{found:#?}"
    );
    assert!(
        found[1].starts_with("8:13 the environment variable `MISSING` is not set"),
        "{found:#?}"
    );
}

#[test]
fn nothing_seems_missing_because_of_a_syntax_error() {
    let found = errors(
        "[[listener]]\nname = \"mqtt\"\nbind = \nauthorize = [\"acl\"]\n[[plugin\nname = \"acl\"\n",
    );
    assert!(
        found.iter().all(|line| !line.contains("missing") && !line.contains("no plugin")),
        "{found:#?}"
    );
    assert!(found.iter().any(|line| line.starts_with("3:")), "{found:#?}");
}
