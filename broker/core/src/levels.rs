//! A tree of topic levels: what topics and filters have in common, and which filters match a topic. Must not know what
//! hangs in it.
//!
//! Nodes lie in one vector and know their parent, so that nothing here recurses however deep a topic is.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use wasmqtt_codec::topic::levels;

/// Index of a node.
pub type NodeId = u32;

/// Where every topic begins.
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
    children: HashMap<Box<str>, NodeId, RandomState>,
    parent: NodeId,
    level: Box<str>,
}

impl<C> Node<C> {
    /// The node one level below.
    pub fn child(&self, level: &str) -> Option<NodeId> {
        self.children.get(level).copied()
    }

    /// All nodes one level below, in no order.
    pub fn children(&self) -> impl Iterator<Item = (&str, NodeId)> {
        self.children.iter().map(|(level, id)| (&**level, *id))
    }
}

/// A tree that gives back what holds nothing any more.
#[derive(Debug)]
pub struct Levels<C> {
    nodes: Vec<Node<C>>,
    free: Vec<NodeId>,
}

impl<C: Content> Default for Levels<C> {
    fn default() -> Self {
        let root = Node {
            content: C::default(),
            children: HashMap::default(),
            parent: ROOT,
            level: Box::default(),
        };
        Self { nodes: vec![root], free: Vec::new() }
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

    /// The node of this very topic or filter.
    pub fn find(&self, path: &str) -> Option<NodeId> {
        levels(path).try_fold(ROOT, |id, level| self.get(id)?.child(level))
    }

    /// The same, made when it is not there; none when there is no number left for it.
    pub fn make(&mut self, path: &str) -> Option<NodeId> {
        levels(path).try_fold(ROOT, |id, level| match self.get(id)?.child(level) {
            Some(child) => Some(child),
            None => self.add(id, level),
        })
    }

    fn add(&mut self, parent: NodeId, level: &str) -> Option<NodeId> {
        let node = Node {
            content: C::default(),
            children: HashMap::default(),
            parent,
            level: level.into(),
        };
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
        self.nodes.get_mut(parent as usize)?.children.insert(level.into(), id);
        Some(id)
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
            if wildcards && let Some(child) = node.child("#").and_then(|id| self.get(id)) {
                found(child);
            }
            match names.get(depth) {
                None => found(node),
                Some(name) => {
                    pending.extend(node.child(name).map(|child| (child, depth + 1)));
                    if wildcards && let Some(child) = node.child("+") {
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
            if !node.children.is_empty() || !node.content.is_bare() {
                return;
            }
            let (parent, level) = (node.parent, std::mem::take(&mut node.level));
            node.children = HashMap::default();
            self.free.push(id);
            if let Some(parent) = self.nodes.get_mut(parent as usize) {
                parent.children.remove(&level);
            }
            id = parent;
        }
    }

    /// Nodes in use, the root included.
    pub fn used(&self) -> usize {
        self.nodes.len() - self.free.len()
    }
}
