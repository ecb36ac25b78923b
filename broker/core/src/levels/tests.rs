//! What comes and goes in the tree, against a map of it.

use std::collections::BTreeMap;

use proptest::prelude::*;
use wasmqtt_codec::topic;

use super::*;

#[derive(Debug, Default)]
struct Mark(Option<String>);

impl Content for Mark {
    fn is_bare(&self) -> bool {
        self.0.is_none()
    }
}

fn add(tree: &mut Levels<Mark>, path: &str) -> NodeId {
    let id = tree.make(path).unwrap();
    tree.content_mut(id).unwrap().0 = Some(path.to_owned());
    id
}

fn take(tree: &mut Levels<Mark>, path: &str) {
    let id = tree.find(path).unwrap();
    tree.content_mut(id).unwrap().0 = None;
    tree.prune(id);
}

fn matched(tree: &Levels<Mark>, filter: &str) -> Vec<String> {
    let mut found = Vec::new();
    assert!(tree.matched(filter, usize::MAX, |node| {
        found.extend(node.content.0.clone());
        true
    }));
    found.sort();
    found
}

fn matching(tree: &Levels<Mark>, topic: &str) -> Vec<String> {
    let mut found = Vec::new();
    tree.matching(topic, |node| found.extend(node.content.0.clone()));
    found.sort();
    found
}

#[test]
fn children_are_found_by_name_and_one_after_the_other_while_some_come_and_go() {
    let mut tree = Levels::<Mark>::default();
    for path in ["a/1", "a/2", "a/3", "b/1"] {
        add(&mut tree, path);
    }
    assert_eq!(matched(&tree, "a/+"), ["a/1", "a/2", "a/3"]);
    for (gone, left) in [("a/2", &["a/1", "a/3"][..]), ("a/3", &["a/1"]), ("a/1", &[])] {
        take(&mut tree, gone);
        assert_eq!(tree.find(gone), None);
        assert_eq!(matched(&tree, "a/+"), left);
    }
    let again = add(&mut tree, "a/2");
    assert_eq!(tree.find("a/2"), Some(again));
    assert_eq!(matched(&tree, "#"), ["a/2", "b/1"]);
}

#[test]
fn a_node_takes_no_more_than_five_words_beside_what_hangs_in_it() {
    assert_eq!(size_of::<Node<()>>(), 5 * size_of::<usize>());
}

#[test]
fn a_topic_takes_one_node_however_deep_it_is_and_one_more_where_another_branches_off() {
    let mut tree = Levels::<Mark>::default();
    let deep = "/".repeat(60_000);
    let place = add(&mut tree, &deep);
    assert_eq!(tree.used(), 2);
    let other = format!("{}x", "/".repeat(30_000));
    add(&mut tree, &other);
    assert_eq!(tree.used(), 4);
    assert_eq!(tree.find(&deep), Some(place), "what hangs in it stays where it is");
    assert_eq!(matching(&tree, &deep), [&*deep]);
    assert_eq!(matched(&tree, &"+/".repeat(30_000)), Vec::<String>::new());
    assert_eq!(matched(&tree, &format!("{}+", "+/".repeat(30_000))), [&*other]);
    take(&mut tree, &other);
    assert_eq!((tree.used(), tree.find(&deep)), (2, Some(place)));
    take(&mut tree, &deep);
    assert_eq!((tree.used(), tree.names.len()), (1, 0));
}

#[test]
fn a_look_at_all_that_a_filter_matches_ends_at_its_bound() {
    let mut tree = Levels::<Mark>::default();
    for number in 0..100 {
        add(&mut tree, &format!("t/{number}"));
    }
    let look = |filter: &str, most| {
        let mut found = 0;
        let whole = tree.matched(filter, most, |node| {
            found += usize::from(!node.content.is_bare());
            true
        });
        (whole, found)
    };
    assert_eq!(look("t/+", 101), (true, 100));
    assert!(!look("t/+", 100).0);
    assert!(!look("#", 100).0);
    assert_eq!(look("t/7", 2), (true, 1));
    assert!(!tree.matched("#", usize::MAX, |node| node.content.is_bare()), "as it is answered");
    // What is long costs more than a node.
    let mut tree = Levels::<Mark>::default();
    add(&mut tree, &"/".repeat(100 * STEP));
    let filter = "+/".repeat(50 * STEP);
    assert!(!tree.matched(&filter, 100, |_| true));
    assert!(tree.matched(&filter, 101, |_| true));
    assert!(tree.matched("#", 1, |_| true), "but where it is not looked at");
}

/// Whether the tree is as small as it can be: nothing bare but where something branches off.
fn is_tidy(tree: &Levels<Mark>) -> bool {
    let mut pending = vec![ROOT];
    let mut count = 0;
    while let Some(id) = pending.pop() {
        count += 1;
        let before = pending.len();
        pending.extend(tree.children(id).map(|(child, _)| child));
        let below = pending.len() - before;
        if id != ROOT && below < 2 && tree.get(id).unwrap().content.is_bare() {
            return false;
        }
    }
    count == tree.used()
}

proptest! {
    #[test]
    fn the_tree_holds_what_a_map_holds_in_as_few_nodes_as_there_are_branches(
        steps in proptest::collection::vec(
            (any::<bool>(), "(\\$s|[ab+]?|long)(/([ab+]?|long)){0,5}(/#)?|#"), 0..60),
        names in proptest::collection::vec("(\\$s|[ab]?|long)(/([ab]?|long)){0,5}", 8),
    ) {
        let mut tree = Levels::<Mark>::default();
        let mut places = BTreeMap::<String, NodeId>::new();
        for (comes, path) in steps {
            if comes {
                let id = add(&mut tree, &path);
                prop_assert_eq!(*places.entry(path).or_insert(id), id);
            } else if places.remove(&path).is_some() {
                take(&mut tree, &path);
            } else if let Some(id) = tree.find(&path) {
                tree.prune(id);
            }
            for (path, id) in &places {
                prop_assert_eq!(tree.find(path), Some(*id));
                prop_assert_eq!(tree.get(*id).unwrap().content.0.as_deref(), Some(&**path));
            }
            prop_assert!(is_tidy(&tree), "{:?}", tree);
        }
        for name in names.iter().filter(|name| !name.is_empty()) {
            let expected: Vec<&str> = places.keys()
                .filter(|filter| topic::matches(filter, name)).map(|filter| &**filter).collect();
            prop_assert_eq!(matching(&tree, name), expected);
        }
        // The other way round: topics, and the filters that match them.
        let mut topics = Levels::<Mark>::default();
        for name in names.iter().filter(|name| !name.is_empty()) {
            add(&mut topics, name);
        }
        for filter in places.keys() {
            let mut expected: Vec<&str> = names.iter().map(|name| &**name)
                .filter(|name| !name.is_empty() && topic::matches(filter, name)).collect();
            expected.sort_unstable();
            expected.dedup();
            prop_assert_eq!(matched(&topics, filter), expected);
        }
    }
}
