//! What is valid and probably not meant.

use super::*;

#[test]
fn a_listener_that_admits_nobody_or_everybody_is_warned_of() {
    let plain = "[[listener]]\nname = \"mqtt\"\nbind = \"127.0.0.1:1883\"\n";
    let found = warnings(plain);
    assert!(found[0].starts_with("1:1 listener `mqtt` lets nobody in: it has no authenticator ("));
    assert!(
        found[1].starts_with("1:1 listener `mqtt` lets nobody do anything: it has no authorizer (")
    );
    assert_eq!(found.len(), 2);
    assert_eq!(warnings(LISTENER).len(), 0);
    for (bind, warned) in [
        ("0.0.0.0:1883", true),
        ("[::]:1883", true),
        ("192.0.2.1:1883", true),
        ("127.9.9.9:1883", false),
        ("[::1]:1883", false),
        ("[::ffff:127.0.0.1]:1883", false),
    ] {
        let found = warnings(&LISTENER.replace("127.0.0.1:1883", bind));
        assert_eq!(found.len(), usize::from(warned), "{bind} {found:?}");
        assert!(
            found
                .iter()
                .all(|line| line.contains(&format!("open to everybody who can reach {bind}")))
        );
    }
}

#[test]
fn what_is_in_force_without_a_configuration_is_warned_of_like_a_file_that_says_the_same() {
    let plain = "[[listener]]\nname = \"mqtt\"\nbind = \"127.0.0.1:1883\"\n";
    let (mut written, _) = parse("w.toml".as_ref(), plain, &|_| Err(VarError::NotPresent)).unwrap();
    let (built_in, warned) = super::super::built_in();
    written.sources.clear();
    written.listeners[0].location = super::super::Listener::default().location;
    assert_eq!(built_in, written);
    let told = |problem: &Problem| (problem.severity, problem.message.clone(), problem.line);
    let (_, expected) = parse("w.toml".as_ref(), plain, &|_| Err(VarError::NotPresent)).unwrap();
    assert_eq!(warned.len(), 2);
    assert!(warned.iter().map(told).eq(expected.iter().map(told)));
}

#[test]
fn what_has_no_effect_is_warned_of() {
    let found = warnings(&format!(
        "{LISTENER}[broker]\ndata_dir = \"/var/lib\"\n[[plugin]]\nname = \"p\"\npath = \"p\"\n"
    ));
    assert_eq!(found.len(), 2);
    assert_eq!(
        found[0],
        "7:12 `broker.data_dir` is not used: state is kept in memory in this version"
    );
    assert!(found[1].starts_with("9:8 plugin `p` is never asked ("));
    assert_eq!(warnings(&format!("{LISTENER}[broker]\ndata_dir = \"data\"")).len(), 0);
}

#[test]
fn warnings_are_part_of_a_report() {
    let report = report(&format!("{LISTENER}[admin]\nbind = \"0.0.0.0:18083\"\nbindd = 1"));
    assert_eq!((report.errors.len(), report.warnings.len()), (1, 1));
    assert!(report.to_string().ends_with("\n\n1 error, 1 warning"), "{report}");
}
