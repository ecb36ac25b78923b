//! Topic names and filters, against tables and against a search through all small ones.

use std::sync::LazyLock;

use proptest::prelude::*;
use wasmqtt_codec::topic::{self, Filter, MAX_LEN, Topic, TopicError};

#[test]
fn topic_names_are_validated() {
    for good in ["a", "/", "//", "/a", "a/", "$SYS/x", "a b", "\u{feff}", "ä/ö", "$share/g/t"] {
        assert_eq!(Topic::parse(good).map(|topic| topic.as_str()), Ok(good));
    }
    assert_eq!(Topic::parse(""), Err(TopicError::Empty));
    assert_eq!(Topic::parse("a\0"), Err(TopicError::Nul));
    for wildcard in ["+", "#", "a/+", "a#b", "a/b+"] {
        assert_eq!(Topic::parse(wildcard), Err(TopicError::Wildcard));
    }
    assert!(Topic::parse(&"a".repeat(MAX_LEN)).is_ok());
    assert_eq!(Topic::parse(&"a".repeat(MAX_LEN + 1)), Err(TopicError::TooLong));
}

#[test]
fn filters_are_validated() {
    for good in ["a", "/", "#", "+", "+/+", "/+", "+/", "a/#", "/#", "+/a/#", "$SYS/#", "a b/ü"] {
        let filter = Filter::parse(good).unwrap();
        assert_eq!((filter.as_str(), filter.share(), filter.pattern()), (good, None, good));
        assert_eq!(Filter::from_trusted(good), filter);
    }
    assert_eq!(Filter::parse(""), Err(TopicError::Empty));
    assert_eq!(Filter::parse("\0"), Err(TopicError::Nul));
    assert_eq!(Filter::parse(&"/".repeat(MAX_LEN)).map(|f| f.levels().count()), Ok(MAX_LEN + 1));
    assert_eq!(Filter::parse(&"/".repeat(MAX_LEN + 1)), Err(TopicError::TooLong));
    for misplaced in ["#/", "a#", "#a", "a/#/b", "##", "a/b#", "+/#/+"] {
        assert_eq!(Filter::parse(misplaced), Err(TopicError::MultiLevelMisplaced), "{misplaced}");
    }
    for misplaced in ["a+", "+a", "++", "a/b+/c", "a/+#", "#+"] {
        assert_eq!(Filter::parse(misplaced), Err(TopicError::SingleLevelMisplaced), "{misplaced}");
    }
}

#[test]
fn shared_filters_are_split() {
    for (text, share, pattern) in [
        ("$share/g/a", "g", "a"),
        ("$share/g/a/+/#", "g", "a/+/#"),
        ("$share/g//", "g", "/"),
        ("$share/$g/$SYS/#", "$g", "$SYS/#"),
        ("$share/g/$share/h/a", "g", "$share/h/a"),
    ] {
        let filter = Filter::parse(text).unwrap();
        assert_eq!(
            (filter.as_str(), filter.share(), filter.pattern()),
            (text, Some(share), pattern)
        );
        assert_eq!(Filter::from_trusted(text), filter);
    }
    for (text, error) in [
        ("$share/", TopicError::ShareNameEmpty),
        ("$share//a", TopicError::ShareNameEmpty),
        ("$share/g", TopicError::ShareWithoutFilter),
        ("$share/g/", TopicError::ShareWithoutFilter),
        ("$share/+/a", TopicError::ShareNameInvalid),
        ("$share/g#/a", TopicError::ShareNameInvalid),
        ("$share/g/a#", TopicError::MultiLevelMisplaced),
        ("$share/g/a+", TopicError::SingleLevelMisplaced),
    ] {
        assert_eq!(Filter::parse(text), Err(error), "{text}");
    }
    // Without the separator it is a filter like any other.
    for text in ["$share", "$shared/g/a"] {
        let filter = Filter::parse(text).unwrap();
        assert_eq!((filter.share(), filter), (None, Filter::from_trusted(text)));
    }
}

#[test]
fn filters_match_as_the_specification_says() {
    // Sections 4.7.1.2, 4.7.1.3, 4.7.2 and 4.7.3.
    for (filter, topic, expected) in [
        ("sport/tennis/player1/#", "sport/tennis/player1", true),
        ("sport/tennis/player1/#", "sport/tennis/player1/ranking", true),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true),
        ("sport/#", "sport", true),
        ("sport/#", "sports", false),
        ("#", "a", true),
        ("#", "/", true),
        ("sport/tennis/+", "sport/tennis/player1", true),
        ("sport/tennis/+", "sport/tennis/player1/ranking", false),
        ("sport/+", "sport", false),
        ("sport/+", "sport/", true),
        ("+/+", "/finance", true),
        ("/+", "/finance", true),
        ("+", "/finance", false),
        ("#", "$SYS", false),
        ("#", "$SYS/monitor/Clients", false),
        ("+/monitor/Clients", "$SYS/monitor/Clients", false),
        ("+", "$SYS", false),
        ("$SYS/#", "$SYS/", true),
        ("$SYS/#", "$SYS", true),
        ("$SYS/monitor/+", "$SYS/monitor/Clients", true),
        ("a/#", "a/$b", true),
        ("ACCOUNTS", "Accounts", false),
        ("a", "a/", false),
        ("a/", "a", false),
        ("/a", "a", false),
        ("\u{e9}", "e\u{301}", false),
    ] {
        assert_eq!(topic::matches(filter, topic), expected, "{filter} {topic}");
        assert_eq!(Filter::parse(filter).unwrap().matches(topic), expected);
    }
}

#[test]
fn a_topic_of_65535_levels_is_matched_without_recursion() {
    let topic = "/".repeat(MAX_LEN);
    assert!(topic::matches(&"+/".repeat(32_767), &"/".repeat(32_767)));
    assert!(topic::matches("#", &topic));
    assert!(topic::covers(&topic, &topic));
    assert!(topic::overlaps(&topic, &topic));
}

/// All strings of up to `depth` levels out of `alphabet`.
fn all(alphabet: &[&str], depth: usize) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut last = vec![String::new()];
    for level in 0..depth {
        last = last
            .iter()
            .flat_map(|prefix| {
                alphabet.iter().map(move |word| {
                    if level == 0 { (*word).to_owned() } else { format!("{prefix}/{word}") }
                })
            })
            .collect();
        out.extend(last.iter().cloned());
    }
    out
}

/// One level deeper than the filters, and with a word (`z`) that no filter names.
static TOPICS: LazyLock<Vec<String>> = LazyLock::new(|| {
    all(&["a", "b", "z", "", "$s"], 4).into_iter().filter(|topic| !topic.is_empty()).collect()
});

static FILTERS: LazyLock<Vec<(String, Vec<bool>)>> = LazyLock::new(|| {
    all(&["a", "b", "", "+", "#", "$s"], 3)
        .into_iter()
        .filter(|filter| Filter::parse(filter).is_ok())
        .map(|filter| {
            let matched = TOPICS.iter().map(|topic| topic::matches(&filter, topic)).collect();
            (filter, matched)
        })
        .collect()
});

#[test]
fn covers_means_that_every_topic_of_the_narrow_filter_is_matched() {
    for (wide, in_wide) in FILTERS.iter() {
        for (narrow, in_narrow) in FILTERS.iter() {
            let expected = in_narrow.iter().zip(in_wide).all(|(narrow, wide)| *wide || !*narrow);
            assert_eq!(topic::covers(wide, narrow), expected, "{wide} {narrow}");
        }
    }
}

#[test]
fn overlaps_means_that_some_topic_is_matched_by_both() {
    for (a, in_a) in FILTERS.iter() {
        for (b, in_b) in FILTERS.iter() {
            let expected = in_a.iter().zip(in_b).any(|(a, b)| *a && *b);
            assert_eq!(topic::overlaps(a, b), expected, "{a} {b}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn wildcards_are_allowed_as_whole_levels_only(text in "[a+#/]{1,8}") {
        let levels: Vec<&str> = text.split('/').collect();
        let last = levels.len() - 1;
        let right = levels.iter().enumerate().all(|(at, level)| match *level {
            "+" => true,
            "#" => at == last,
            level => !level.contains(['+', '#']),
        });
        prop_assert_eq!(Filter::parse(&text).is_ok(), right);
        prop_assert!(topic::levels(&text).eq(levels));
    }

    #[test]
    fn a_filter_without_wildcards_matches_itself_only(a in "[ab/$]{1,8}", b in "[ab/$]{1,8}") {
        prop_assert!(topic::matches(&a, &a));
        prop_assert_eq!(topic::matches(&a, &b), a == b);
    }

    #[test]
    fn relations_of_any_strings_do_not_panic(a in "[ab/+#$]{0,12}", b in "[ab/+#$]{0,12}") {
        let _ = (topic::matches(&a, &b), topic::covers(&a, &b));
        prop_assert_eq!(topic::overlaps(&a, &b), topic::overlaps(&b, &a));
        if let Ok(filter) = Filter::parse(&a) {
            prop_assert!(topic::covers(filter.pattern(), filter.pattern()));
        }
    }
}
