//! A tree of topic levels: what topics and filters have in common, and which filters match a topic. Must not know what
//! hangs in it.
//!
//! Nodes lie in one vector and know their parent, so that nothing here recurses however deep a topic is. One table finds
//! the children of all of them: a node that had a map of its own would take five times the room, and most have one child.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use wasmqtt_codec::topic::levels;

/// Index of a node.
pub type NodeId = u32;

/// Where every topic begins. Nobody's child, so it stands for none where a child could be.
pub const ROOT: NodeId = 0;

/// What hangs in a node.
pub trait Content: Default {
    /// Whether there is nothing in it, so that the node may go.
    fn is_bare(&self) -> bool;
}

/// One level of one topic.
#[derive(Debug, Default)]
pub struct Node<C> {
    /// What hangs in it.
    pub content: C,
    level: Box<str>,
    parent: NodeId,
    /// One of its children; each knows those before and after it.
    first: NodeId,
    before: NodeId,
    after: NodeId,
    /// The child `+` and the child `#`, which every topic looks for.
    plus: NodeId,
    hash: NodeId,
}

impl<C> Node<C> {
    /// Its level of the topic.
    pub fn level(&self) -> &str {
        &self.level
    }

    fn wildcard(&mut self, level: &str) -> Option<&mut NodeId> {
        match level {
            "+" => Some(&mut self.plus),
            "#" => Some(&mut self.hash),
            _ => None,
        }
    }
}

/// A tree that gives back what holds nothing any more.
#[derive(Debug)]
pub struct Levels<C> {
    nodes: Vec<Node<C>>,
    free: Vec<NodeId>,
    /// Every node but the root and wildcards, by its parent and its level.
    names: HashTable<NodeId>,
    hasher: RandomState,
}

impl<C: Content> Default for Levels<C> {
    fn default() -> Self {
        Self {
            nodes: vec![Node::default()],
            free: Vec::new(),
            names: HashTable::new(),
            hasher: RandomState::default(),
        }
    }
}

impl<C: Content> Levels<C> {
    /// A node.
    pub fn get(&self, id: NodeId) -> Option<&Node<C>> {
        self.nodes.get(id as usize)
    }

    /// What hangs in a node.
    pub fn content_mut(&mut self, id: NodeId) -> Option<&mut C> {
        Some(&mut self.nodes.get_mut(id as usize)?.content)
    }

    /// What hangs in all nodes from this one on, in the order of their numbers.
    pub fn contents(&self, from: NodeId) -> impl Iterator<Item = &C> {
        self.nodes.get(from as usize..).unwrap_or_default().iter().map(|node| &node.content)
    }

    /// The node one level below.
    pub fn child(&self, parent: NodeId, level: &str) -> Option<NodeId> {
        match level {
            "+" => some(self.get(parent)?.plus),
            "#" => some(self.get(parent)?.hash),
            name => self.named(parent, name),
        }
    }

    /// All nodes one level below, in no order.
    pub fn children(&self, parent: NodeId) -> impl Iterator<Item = (NodeId, &Node<C>)> {
        let mut next = self.get(parent).map_or(ROOT, |node| node.first);
        std::iter::from_fn(move || {
            let (id, node) = (some(next)?, self.get(next)?);
            next = node.after;
            Some((id, node))
        })
    }

    /// The node of this very topic or filter.
    pub fn find(&self, path: &str) -> Option<NodeId> {
        levels(path).try_fold(ROOT, |id, level| self.child(id, level))
    }

    /// The same, made when it is not there; none when there is no number left for it.
    pub fn make(&mut self, path: &str) -> Option<NodeId> {
        levels(path).try_fold(ROOT, |id, level| match self.child(id, level) {
            Some(child) => Some(child),
            None => self.add(id, level),
        })
    }

    fn add(&mut self, parent: NodeId, level: &str) -> Option<NodeId> {
        let after = self.get(parent)?.first;
        let node = Node { level: level.into(), parent, after, ..Node::default() };
        let id = match self.free.pop() {
            Some(id) => {
                *self.nodes.get_mut(id as usize)? = node;
                id
            }
            None => {
                let id = NodeId::try_from(self.nodes.len()).ok()?;
                self.nodes.push(node);
                id
            }
        };
        if let Some(after) = some(after).and_then(|after| self.nodes.get_mut(after as usize)) {
            after.before = id;
        }
        let above = self.nodes.get_mut(parent as usize)?;
        above.first = id;
        match above.wildcard(level) {
            Some(child) => *child = id,
            None => {
                let Self { names, nodes, hasher, .. } = self;
                names.insert_unique(hash(hasher, parent, level), id, |id| {
                    rehash(hasher, nodes, *id)
                });
            }
        }
        Some(id)
    }

    fn named(&self, parent: NodeId, name: &str) -> Option<NodeId> {
        let is_it = |id: &NodeId| {
            self.get(*id).is_some_and(|node| node.parent == parent && *node.level == *name)
        };
        self.names.find(hash(&self.hasher, parent, name), is_it).copied()
    }

    /// Calls back for the node of every filter that matches `topic`, in no order.
    ///
    /// A leading wildcard does not match a topic that begins with `$` [MQTT-4.7.2-1].
    pub fn matching<'t>(&'t self, topic: &str, mut found: impl FnMut(&'t Node<C>)) {
        let names: Vec<&str> = levels(topic).collect();
        let hidden = topic.starts_with('$');
        let mut pending = vec![(ROOT, 0usize)];
        while let Some((id, depth)) = pending.pop() {
            let Some(node) = self.get(id) else { continue };
            let wildcards = depth > 0 || !hidden;
            // `#` also matches its parent level, so it is looked for even behind the last name.
            if wildcards && let Some(child) = some(node.hash).and_then(|id| self.get(id)) {
                found(child);
            }
            match names.get(depth) {
                None => found(node),
                Some(name) => {
                    pending.extend(self.named(id, name).map(|child| (child, depth + 1)));
                    if wildcards && let Some(child) = some(node.plus) {
                        pending.push((child, depth + 1));
                    }
                }
            }
        }
    }

    /// Gives back `id` and every ancestor that holds nothing any more.
    pub fn prune(&mut self, mut id: NodeId) {
        while id != ROOT {
            let Some(node) = self.nodes.get_mut(id as usize) else { return };
            if node.first != ROOT || !node.content.is_bare() {
                return;
            }
            let node = std::mem::take(node);
            self.free.push(id);
            self.unlink(id, &node);
            id = node.parent;
        }
    }

    /// Takes a node that was taken out from those beside and above it.
    fn unlink(&mut self, id: NodeId, node: &Node<C>) {
        let Self { nodes, names, hasher, .. } = self;
        if let Some(before) = some(node.before).and_then(|before| nodes.get_mut(before as usize)) {
            before.after = node.after;
        }
        if let Some(after) = some(node.after).and_then(|after| nodes.get_mut(after as usize)) {
            after.before = node.before;
        }
        let Some(parent) = nodes.get_mut(node.parent as usize) else { return };
        if parent.first == id {
            parent.first = node.after;
        }
        match parent.wildcard(&node.level) {
            Some(child) => *child = ROOT,
            None => {
                let hash = hash(hasher, node.parent, &node.level);
                if let Ok(entry) = names.find_entry(hash, |other| *other == id) {
                    entry.remove();
                }
            }
        }
    }

    /// Nodes in use, the root included.
    pub fn used(&self) -> usize {
        self.nodes.len() - self.free.len()
    }
}

/// The root is nobody's child: its number says that there is none.
fn some(id: NodeId) -> Option<NodeId> {
    (id != ROOT).then_some(id)
}

fn hash(hasher: &RandomState, parent: NodeId, level: &str) -> u64 {
    hasher.hash_one((parent, level))
}

fn rehash<C>(hasher: &RandomState, nodes: &[Node<C>], id: NodeId) -> u64 {
    nodes.get(id as usize).map_or(0, |node| hash(hasher, node.parent, &node.level))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default)]
    struct Mark(bool);

    impl Content for Mark {
        fn is_bare(&self) -> bool {
            !self.0
        }
    }

    fn below(tree: &Levels<Mark>, path: &str) -> Vec<String> {
        let mut names: Vec<String> = tree
            .children(tree.find(path).unwrap())
            .map(|(_, node)| node.level().to_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn children_are_found_by_name_and_one_after_the_other_while_some_come_and_go() {
        let mut tree = Levels::<Mark>::default();
        for path in ["a/1", "a/2", "a/+", "a/#", "a/3", "b/1"] {
            let id = tree.make(path).unwrap();
            tree.content_mut(id).unwrap().0 = true;
        }
        assert_eq!(below(&tree, "a"), ["#", "+", "1", "2", "3"]);
        for (gone, left) in [
            ("a/2", &["#", "+", "1", "3"][..]),
            ("a/3", &["#", "+", "1"]),
            ("a/1", &["#", "+"]),
            ("a/+", &["#"]),
        ] {
            let id = tree.find(gone).unwrap();
            tree.content_mut(id).unwrap().0 = false;
            tree.prune(id);
            assert_eq!(tree.find(gone), None);
            assert_eq!(below(&tree, "a"), left);
        }
        let again = tree.make("a/2").unwrap();
        assert_eq!(tree.find("a/2"), Some(again));
        assert_eq!(below(&tree, "a"), ["#", "2"]);
        assert_eq!(below(&tree, "b"), ["1"]);
    }

    #[test]
    fn a_node_takes_no_more_than_five_words_beside_what_hangs_in_it() {
        assert_eq!(size_of::<Node<()>>(), 5 * size_of::<usize>());
    }
}
