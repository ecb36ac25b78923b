//! A tree of topic levels: what topics and filters have in common, and which filters match a topic. Must not know what
//! hangs in it.
//!
//! Levels that nothing branches off from lie in one node, so that a topic costs what it is long, however deep it is:
//! sixty thousand levels are 64 KB and one node or two, not sixty thousand. Nodes lie in one vector and know their parent,
//! so that nothing here recurses. One table finds the children of all of them: a node that had a map of its own would
//! take five times the room, and most have one child.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

mod run;

use run::{Fit, Left, after, common, first, fit, narrow, tail};

/// Index of a node.
pub type NodeId = u32;

/// Where every topic begins. Nobody's child, so it stands for none where a child could be.
pub const ROOT: NodeId = 0;

/// Bytes that cost as much to compare as one more node to look at.
pub(crate) const STEP: usize = 32;

/// What hangs in a node.
pub trait Content: Default {
    /// Whether there is nothing in it, so that the node may go.
    fn is_bare(&self) -> bool;
}

/// One level of one topic, or several that nothing branches off from.
#[derive(Debug, Default)]
pub struct Node<C> {
    /// What hangs in it: at the last of its levels.
    pub content: C,
    /// Its levels, as they stand in the topic. The root has none.
    run: Box<str>,
    parent: NodeId,
    /// One of its children; each knows those before and after it.
    first: NodeId,
    before: NodeId,
    after: NodeId,
    /// The children that begin with `+` and with `#`, which every topic looks for.
    plus: NodeId,
    hash: NodeId,
}

impl<C> Node<C> {
    fn slot(&mut self, level: &str) -> Option<&mut NodeId> {
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
    /// Every node but the root and those that begin with a wildcard, by its parent and its first level.
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

    fn get_mut(&mut self, id: NodeId) -> Option<&mut Node<C>> {
        self.nodes.get_mut(id as usize)
    }

    /// What hangs in a node.
    pub fn content_mut(&mut self, id: NodeId) -> Option<&mut C> {
        Some(&mut self.get_mut(id)?.content)
    }

    /// What hangs in all nodes from this one on, in the order of their numbers. It stays where it is for as long as it
    /// hangs there.
    pub fn contents(&self, from: NodeId) -> impl Iterator<Item = &C> {
        self.nodes.get(from as usize..).unwrap_or_default().iter().map(|node| &node.content)
    }

    /// The node below that begins with this level.
    fn child(&self, parent: NodeId, level: &str) -> Option<NodeId> {
        match level {
            "+" => some(self.get(parent)?.plus),
            "#" => some(self.get(parent)?.hash),
            name => self.named(parent, name),
        }
    }

    /// All nodes right below, in no order.
    fn children(&self, parent: NodeId) -> impl Iterator<Item = (NodeId, &Node<C>)> {
        let mut next = self.get(parent).map_or(ROOT, |node| node.first);
        std::iter::from_fn(move || {
            let (id, node) = (some(next)?, self.get(next)?);
            next = node.after;
            Some((id, node))
        })
    }

    /// The node of this very topic or filter.
    pub fn find(&self, path: &str) -> Option<NodeId> {
        let (mut id, mut rest) = (ROOT, Some(path));
        while let Some(path) = rest {
            id = self.child(id, first(path))?;
            rest = after(path, &self.get(id)?.run)?;
        }
        Some(id)
    }

    /// The same, made when it is not there; none when there is no number left for it.
    pub fn make(&mut self, path: &str) -> Option<NodeId> {
        let (mut id, mut rest) = (ROOT, Some(path));
        while let Some(path) = rest {
            let Some(child) = self.child(id, first(path)) else {
                return self.add(id, path);
            };
            let run = &self.get(child)?.run;
            let (same, len) = (common(run, path), run.len());
            id = if same < len { self.split(child, same)? } else { child };
            rest = tail(path, same);
        }
        Some(id)
    }

    fn add(&mut self, parent: NodeId, run: &str) -> Option<NodeId> {
        let after = self.get(parent)?.first;
        let id = self.place(Node { run: run.into(), parent, after, ..Node::default() })?;
        if let Some(after) = some(after).and_then(|after| self.get_mut(after)) {
            after.before = id;
        }
        self.get_mut(parent)?.first = id;
        self.name(parent, first(run), id);
        Some(id)
    }

    fn place(&mut self, node: Node<C>) -> Option<NodeId> {
        if let Some(id) = self.free.pop() {
            *self.get_mut(id)? = node;
            return Some(id);
        }
        let id = NodeId::try_from(self.nodes.len()).ok()?;
        self.nodes.push(node);
        Some(id)
    }

    /// Makes `id` be found at `parent` under this level.
    fn name(&mut self, parent: NodeId, level: &str, id: NodeId) {
        let Self { nodes, names, hasher, .. } = self;
        match nodes.get_mut(parent as usize).and_then(|parent| parent.slot(level)) {
            Some(slot) => *slot = id,
            None => {
                let again = |id: &NodeId| {
                    let node = nodes.get(*id as usize);
                    node.map_or(0, |node| hash(hasher, node.parent, first(&node.run)))
                };
                names.insert_unique(hash(hasher, parent, level), id, again);
            }
        }
    }

    /// Makes `to` be found instead of `id`, or nothing.
    fn rename(&mut self, parent: NodeId, level: &str, id: NodeId, to: NodeId) {
        let Self { nodes, names, hasher, .. } = self;
        if let Some(slot) = nodes.get_mut(parent as usize).and_then(|parent| parent.slot(level)) {
            *slot = to;
        } else if let Ok(mut entry) =
            names.find_entry(hash(hasher, parent, level), |other| *other == id)
        {
            match some(to) {
                Some(to) => *entry.get_mut() = to,
                None => drop(entry.remove()),
            }
        }
    }

    fn named(&self, parent: NodeId, name: &str) -> Option<NodeId> {
        let is_it = |id: &NodeId| {
            self.get(*id).is_some_and(|node| {
                let at = node.run.len() == name.len()
                    || node.run.as_bytes().get(name.len()) == Some(&b'/');
                // Comparing nothing with nothing costs a hundred times as much as not to.
                node.parent == parent && at && (name.is_empty() || node.run.starts_with(name))
            })
        };
        self.names.find(hash(&self.hasher, parent, name), is_it).copied()
    }

    /// Calls back for the node of every filter that matches `topic`, in no order.
    ///
    /// A leading wildcard does not match a topic that begins with `$` [MQTT-4.7.2-1].
    pub fn matching<'t>(&'t self, topic: &str, mut found: impl FnMut(&'t Node<C>)) {
        let hidden = topic.starts_with('$');
        let mut pending = vec![(ROOT, Some(topic))];
        while let Some((id, rest)) = pending.pop() {
            let Some(node) = self.get(id) else { continue };
            let wildcards = id != ROOT || !hidden;
            // `#` also matches its parent level, so it is looked for even behind the last name.
            if wildcards && let Some(child) = some(node.hash).and_then(|id| self.get(id)) {
                found(child);
            }
            let Some(rest) = rest else {
                found(node);
                continue;
            };
            let below = [self.named(id, first(rest)), some(node.plus).filter(|_| wildcards)];
            for child in below.into_iter().flatten() {
                let Some(node) = self.get(child) else { continue };
                match fit(&node.run, rest) {
                    Fit::No => {}
                    Fit::All => found(node),
                    Fit::Rest(rest) => pending.push((child, rest)),
                }
            }
        }
    }

    /// Calls back for every node whose topic `filter` matches, in no order, for as long as it is answered. Looks at no more
    /// than `most` nodes, or at fewer whose levels are many; false when that was not enough, or it was not answered.
    ///
    /// A leading wildcard does not match a topic that begins with `$` [MQTT-4.7.2-1].
    pub fn matched<'t>(
        &'t self,
        filter: &str,
        most: usize,
        mut found: impl FnMut(&'t Node<C>) -> bool,
    ) -> bool {
        let mut left = most;
        let mut pending = vec![(ROOT, Left::Levels(filter))];
        while let Some((id, rest)) = pending.pop() {
            let Some(node) = self.get(id) else { continue };
            let (head, all) = match rest {
                Left::End => (None, false),
                Left::All => (None, true),
                Left::Levels(levels) => (Some(levels), first(levels) == "#"),
            };
            if (all || head.is_none()) && !found(node) {
                return false;
            }
            let named = head.map(first).filter(|level| !matches!(*level, "+" | "#"));
            let mut push = |child: NodeId, node: &Node<C>| {
                let levels = head.filter(|_| !all).unwrap_or_default();
                let cost = 1 + node.run.len().min(levels.len()) / STEP;
                left = left.checked_sub(cost)?;
                let rest = if all { Some(Left::All) } else { narrow(&node.run, levels) };
                pending.extend(rest.map(|rest| (child, rest)));
                Some(())
            };
            let pushed = match (head, named) {
                (_, Some(level)) => {
                    let child = self.named(id, level).and_then(|id| Some((id, self.get(id)?)));
                    child.map_or(Some(()), |(id, node)| push(id, node))
                }
                (None, None) if !all => Some(()),
                (_, None) => {
                    let shown = |node: &Node<C>| id != ROOT || !node.run.starts_with('$');
                    let mut children = self.children(id).filter(|(_, node)| shown(node));
                    children.try_for_each(|(id, node)| push(id, node))
                }
            };
            if pushed.is_none() {
                return false;
            }
        }
        true
    }

    /// Puts a node of its own above `id` for the first `at` bytes of its levels.
    fn split(&mut self, id: NodeId, at: usize) -> Option<NodeId> {
        let node = self.get(id)?;
        let (parent, before, after) = (node.parent, node.before, node.after);
        let (above, below) = (node.run.get(..at)?, tail(&node.run, at)?);
        let (above, below): (Box<str>, Box<str>) = (above.into(), below.into());
        let beside = Node { run: above, parent, before, after, first: id, ..Node::default() };
        let middle = self.place(beside)?;
        self.put_between(parent, before, after, middle);
        let level = self.get(middle).map_or(0, |node| first(&node.run).len());
        let level: Box<str> = self.get(middle)?.run.get(..level)?.into();
        self.rename(parent, &level, id, middle);
        let level: Box<str> = first(&below).into();
        let node = self.get_mut(id)?;
        (node.parent, node.before, node.after) = (middle, ROOT, ROOT);
        node.run = below;
        self.name(middle, &level, id);
        Some(middle)
    }

    /// Makes one node of `id`, in which nothing hangs, and its only child.
    fn join(&mut self, id: NodeId) {
        let Some(node) = self.get_mut(id) else { return };
        let Node { run: above, parent, first: child, before, after, .. } = std::mem::take(node);
        let Some(node) = self.get(child) else { return };
        let level: Box<str> = first(&node.run).into();
        let run = [&*above, &*node.run].join("/");
        self.rename(id, &level, child, ROOT);
        self.rename(parent, first(&above), id, child);
        if let Some(node) = self.get_mut(child) {
            (node.parent, node.before, node.after) = (parent, before, after);
            node.run = run.into();
        }
        self.put_between(parent, before, after, child);
        self.free.push(id);
    }

    /// Makes those beside a place, or above it, know who has it now.
    fn put_between(&mut self, parent: NodeId, before: NodeId, after: NodeId, id: NodeId) {
        if let Some(after) = some(after).and_then(|after| self.get_mut(after)) {
            after.before = id;
        }
        match some(before) {
            Some(before) => {
                if let Some(before) = self.get_mut(before) {
                    before.after = id;
                }
            }
            None => {
                if let Some(parent) = self.get_mut(parent) {
                    parent.first = id;
                }
            }
        }
    }

    /// Gives back `id` and every ancestor that holds nothing any more.
    pub fn prune(&mut self, mut id: NodeId) {
        while id != ROOT {
            let Some(node) = self.get(id).filter(|node| node.content.is_bare()) else { return };
            match some(node.first).map(|child| self.get(child).map(|child| child.after)) {
                None => id = self.remove(id),
                // Nothing branches off here any more.
                Some(Some(ROOT)) => return self.join(id),
                Some(_) => return,
            }
        }
    }

    /// Takes a node out that has nothing below it; answers its parent.
    fn remove(&mut self, id: NodeId) -> NodeId {
        let Some(node) = self.get_mut(id) else { return ROOT };
        let Node { run, parent, before, after, .. } = std::mem::take(node);
        self.free.push(id);
        if let Some(before) = some(before).and_then(|before| self.get_mut(before)) {
            before.after = after;
        } else if let Some(parent) = self.get_mut(parent) {
            parent.first = after;
        }
        if let Some(after) = some(after).and_then(|after| self.get_mut(after)) {
            after.before = before;
        }
        self.rename(parent, first(&run), id, ROOT);
        parent
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

#[cfg(test)]
mod tests;
