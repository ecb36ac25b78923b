//! The selectors of all plugins of one chain and one hook, compiled once per generation: one walk of a tree of filters
//! finds those that a topic can concern, and a worker remembers them with the topic. What is left to look at for a
//! message is its size and its properties. Must not know what a hook answers, nor wasm.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use wasmqtt_core::levels::{Content, Levels};
use wasmqtt_core::message::Message;

use crate::registration::{Selector, Selectors};

/// Topics that a worker remembers, those of all selections together, and bytes of topics and of what is known about
/// them. Beyond either it starts over: a walk of the tree per topic is what that costs.
const TOPICS_MAX: usize = 16_384;
const BYTES_MAX: usize = 8 << 20;

/// Which plugins of one chain want which messages of one hook.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    /// Of all selections of the generation.
    number: usize,
    /// Positions of plugins in their generation, in the order of the chain.
    places: Box<[usize]>,
    /// In the order of the chain.
    choices: Box<[Choice]>,
    /// Choices that topics have no part in.
    everywhere: Box<[u32]>,
    /// Choices by filter; none when no selector has any.
    filters: Option<Levels<Chosen>>,
    /// What a topic begins with that any choice can take.
    begins: Bytes,
    /// The least and the most of a payload that any choice takes, in bytes.
    sizes: (usize, usize),
    /// Whether every choice takes only messages that carry some user property.
    needs_property: bool,
}

/// One selector, without its filters.
#[derive(Debug)]
struct Choice {
    /// Position of the plugin in the chain.
    step: usize,
    user_property: Option<String>,
    /// Bytes.
    sizes: (usize, usize),
}

/// A set of bytes.
#[derive(Debug, Default)]
struct Bytes([u64; 4]);

impl Bytes {
    /// What topics begin with that these selectors can take.
    fn of<'a>(selectors: impl Iterator<Item = &'a Selector>) -> Self {
        let mut set = Self::default();
        for selector in selectors {
            if selector.filters.is_empty() {
                return Self([u64::MAX; 4]);
            }
            for filter in &selector.filters {
                match filter.bytes().next() {
                    Some(b'+' | b'#') | None => return Self([u64::MAX; 4]),
                    Some(byte) => {
                        if let Some(word) = set.0.get_mut(usize::from(byte >> 6)) {
                            *word |= 1 << (byte & 63);
                        }
                    }
                }
            }
        }
        set
    }

    #[inline]
    fn has(&self, byte: Option<u8>) -> bool {
        let Some(byte) = byte else { return false };
        self.0.get(usize::from(byte >> 6)).is_some_and(|word| word >> (byte & 63) & 1 == 1)
    }
}

/// The choices that have this filter.
#[derive(Debug, Default)]
struct Chosen(Vec<u32>);

impl Content for Chosen {
    fn is_bare(&self) -> bool {
        self.0.is_empty()
    }
}

impl Selection {
    /// Compiles what these plugins want, given by their position and in the order of their chain. `number` tells it
    /// from all other selections of the generation. A plugin that wants nothing is left out.
    pub(crate) fn new<'a>(
        number: usize,
        plugins: impl Iterator<Item = (usize, &'a Selectors)>,
    ) -> Self {
        let wanting: Vec<_> = plugins.filter(|(_, selectors)| !selectors.is_empty()).collect();
        let mut filters = Levels::<Chosen>::default();
        let (mut choices, mut everywhere) = (Vec::new(), Vec::new());
        for (step, (_, selectors)) in wanting.iter().enumerate() {
            for selector in selectors.iter() {
                let index = u32::try_from(choices.len()).unwrap_or(u32::MAX);
                choices.push(Choice::new(step, selector));
                if selector.filters.is_empty() {
                    everywhere.push(index);
                }
                for filter in &selector.filters {
                    let node = filters.make(filter).and_then(|node| filters.content_mut(node));
                    if let Some(Chosen(chosen)) = node {
                        chosen.push(index);
                    }
                }
            }
        }
        let least = choices.iter().map(|choice| choice.sizes.0).min().unwrap_or(0);
        let most = choices.iter().map(|choice| choice.sizes.1).max().unwrap_or(0);
        Self {
            number,
            places: wanting.iter().map(|(place, _)| *place).collect(),
            needs_property: choices.iter().all(|choice| choice.user_property.is_some()),
            sizes: (least, most),
            begins: Bytes::of(wanting.iter().flat_map(|(_, selectors)| selectors.iter())),
            filters: (filters.used() > 1).then_some(filters),
            choices: choices.into(),
            everywhere: everywhere.into(),
        }
    }

    /// Who wants any message at all, as positions in the generation: from this position of the chain on.
    pub(crate) fn places_from(&self, step: usize) -> &[usize] {
        self.places.get(step..).unwrap_or_default()
    }

    /// Whether no message is wanted.
    pub(crate) fn is_empty(&self) -> bool {
        self.choices.is_empty()
    }

    /// Whether anybody may want this message, by what is at hand: most messages that nobody wants cost no more than that.
    #[inline]
    pub(crate) fn may_want(&self, message: &Message) -> bool {
        self.begins.has(message.topic_begins()) && fits(self.sizes, message)
    }

    /// The first plugin that wants this message, as its position in the chain and in the generation: the first at or
    /// behind position `from` of the chain.
    #[inline]
    pub(crate) fn next(
        &self,
        memo: &mut Memo,
        message: &Message,
        from: usize,
    ) -> Option<(usize, usize)> {
        if !self.may_want(message)
            || self.needs_property && message.properties().user_properties().is_empty()
        {
            return None;
        }
        let step = match &self.filters {
            None => self.first(&self.everywhere, message, from),
            Some(filters) => self.recall(filters, memo, message, from),
        }?;
        Some((step, *self.places.get(step)?))
    }

    fn recall(
        &self,
        filters: &Levels<Chosen>,
        memo: &mut Memo,
        message: &Message,
        from: usize,
    ) -> Option<usize> {
        let topic = message.topic_bytes();
        if let Some(known) = memo.get(self.number, topic) {
            return self.first(known, message, from);
        }
        let found = self.find(filters, message.topic());
        let step = self.first(&found, message, from);
        memo.insert(self.number, topic, found);
        step
    }

    /// The choices that can take messages of this topic, in order and each once.
    fn find(&self, filters: &Levels<Chosen>, topic: &str) -> Box<[u32]> {
        let mut found = self.everywhere.to_vec();
        filters.matching(topic, |node| found.extend_from_slice(&node.content.0));
        found.sort_unstable();
        found.dedup();
        found.into()
    }

    fn first(&self, candidates: &[u32], message: &Message, from: usize) -> Option<usize> {
        let choices = candidates.iter().filter_map(|index| self.choices.get(*index as usize));
        let mut later = choices.filter(|choice| choice.step >= from);
        later.find(|choice| choice.takes(message)).map(|choice| choice.step)
    }
}

impl Choice {
    fn new(step: usize, selector: &Selector) -> Self {
        let most = selector.max_payload.map_or(usize::MAX, |max| max as usize);
        Self {
            step,
            user_property: selector.user_property.clone(),
            sizes: (selector.min_payload as usize, most),
        }
    }

    fn takes(&self, message: &Message) -> bool {
        fits(self.sizes, message)
            && self
                .user_property
                .as_deref()
                .is_none_or(|name| message.properties().user_properties().get(name).is_some())
    }
}

fn fits((least, most): (usize, usize), message: &Message) -> bool {
    (least..=most).contains(&message.payload().len())
}

/// Topic to choices.
type Topics = HashMap<Box<[u8]>, Box<[u32]>, RandomState>;

/// What one worker remembers of the selections of one generation.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    /// By the number of the selection.
    selections: Vec<Topics>,
    topics: usize,
    bytes: usize,
}

impl Memo {
    #[inline]
    fn get(&self, number: usize, topic: &[u8]) -> Option<&[u32]> {
        self.selections.get(number)?.get(topic).map(|choices| &**choices)
    }

    fn insert(&mut self, number: usize, topic: &[u8], choices: Box<[u32]>) {
        let bytes = topic.len() + size_of_val(&*choices);
        if self.topics >= TOPICS_MAX || self.bytes + bytes > BYTES_MAX {
            *self = Self::default();
        }
        if self.selections.len() <= number {
            self.selections.resize_with(number + 1, Topics::default);
        }
        let Some(selection) = self.selections.get_mut(number) else { return };
        selection.insert(topic.into(), choices);
        (self.topics, self.bytes) = (self.topics + 1, self.bytes + bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::message;

    fn compile(plugins: &[&[Selector]]) -> Selection {
        let wanted: Vec<Selectors> = plugins
            .iter()
            .map(|selectors| Selectors::new("on-publish", selectors.to_vec()).unwrap())
            .collect();
        // Plugins lie elsewhere in their generation than in their chain.
        Selection::new(1, wanted.iter().enumerate().map(|(place, wanted)| (place + 10, wanted)))
    }

    fn filters(filters: &[&str]) -> Selector {
        let filters = filters.iter().map(|filter| (*filter).to_owned()).collect();
        Selector { filters, ..Selector::default() }
    }

    /// The plugins that are asked about a message, in order.
    fn asked(selection: &Selection, topic: &str, payload: &[u8]) -> Vec<usize> {
        let (mut memo, message) = (Memo::default(), message(topic, payload));
        // The second time it is remembered.
        let [first, second] = [(), ()].map(|()| {
            let mut from = 0;
            std::iter::from_fn(|| {
                let (step, place) = selection.next(&mut memo, &message, from)?;
                from = step + 1;
                Some(place)
            })
            .collect::<Vec<_>>()
        });
        assert_eq!(first, second);
        first
    }

    #[test]
    fn no_selector_wants_nothing_and_an_empty_one_wants_everything() {
        assert!(compile(&[]).is_empty());
        assert!(compile(&[&[]]).is_empty());
        assert!(asked(&compile(&[&[]]), "a", b"").is_empty());
        assert_eq!(asked(&compile(&[&[Selector::default()]]), "a", b""), [10]);
    }

    #[test]
    fn all_conditions_of_one_selector_must_hold() {
        let narrow = compile(&[&[Selector {
            user_property: Some("region".into()),
            min_payload: 2,
            max_payload: Some(3),
            ..filters(&["a/+", "b"])
        }]]);
        // Test messages carry the user property `region`.
        for (topic, payload, wanted) in [
            ("a/x", &b"12"[..], true),
            ("b", b"123", true),
            ("c", b"12", false),
            ("b", b"1", false),
            ("b", b"1234", false),
        ] {
            assert_eq!(!asked(&narrow, topic, payload).is_empty(), wanted, "{topic}");
        }
        let other =
            compile(&[&[Selector { user_property: Some("x".into()), ..Selector::default() }]]);
        assert!(asked(&other, "b", b"12").is_empty());
    }

    #[test]
    fn any_selector_is_enough_and_a_plugin_is_asked_once() {
        let long = Selector { min_payload: 10, ..Selector::default() };
        let either = compile(&[&[filters(&["a", "+"]), long]]);
        assert_eq!(asked(&either, "a", b"0123456789"), [10]);
        assert_eq!(asked(&either, "b/c", b"0123456789"), [10]);
        assert!(asked(&either, "b/c", b"").is_empty());
    }

    #[test]
    fn plugins_are_asked_in_the_order_of_their_chain() {
        let chain = compile(&[
            &[filters(&["b/#", "a/x"])],
            &[],
            &[Selector::default()],
            &[filters(&["a/#"]), filters(&["+/x"])],
        ]);
        assert_eq!(asked(&chain, "a/x", b""), [10, 12, 13]);
        assert_eq!(asked(&chain, "a/y", b""), [12, 13]);
        assert_eq!(asked(&chain, "b", b""), [10, 12]);
        assert_eq!(asked(&chain, "$SYS/x", b""), [12]);
    }

    #[test]
    fn a_topic_that_begins_like_no_filter_is_not_looked_up() {
        let selection = compile(&[&[filters(&["b/#", "$SYS/+"])], &[filters(&["/x", "\u{e9}"])]]);
        let mut memo = Memo::default();
        for (topic, may, wanted) in [
            ("a/b", false, false),
            ("b/a", true, true),
            ("bb", true, false),
            ("$SYS/a", true, true),
            ("/x", true, true),
            ("/y", true, false),
            ("\u{e9}", true, true),
            ("\u{65e5}", false, false),
        ] {
            let message = message(topic, b"");
            assert_eq!(selection.may_want(&message), may, "{topic}");
            assert_eq!(selection.next(&mut memo, &message, 0).is_some(), wanted, "{topic}");
        }
        assert_eq!(memo.topics, 6);
        for everything in ["#", "+/x"] {
            assert!(compile(&[&[filters(&[everything])]]).may_want(&message("a/b", b"")));
        }
        assert!(!compile(&[]).may_want(&message("a/b", b"")));
    }

    #[test]
    fn what_is_remembered_is_bounded_in_topics_and_in_bytes() {
        let selection = compile(&[&[filters(&["+/#"])]]);
        let mut memo = Memo::default();
        for number in 0..=TOPICS_MAX {
            assert!(selection.next(&mut memo, &message(&format!("t/{number}"), b""), 0).is_some());
            assert!(memo.topics <= TOPICS_MAX);
        }
        assert_eq!(memo.topics, 1, "it starts over at the bound");
        let long = "x".repeat(60_000);
        for number in 0..1000 {
            selection.next(&mut memo, &message(&format!("{number}/{long}"), b""), 0);
            let held: usize = memo.selections.iter().flatten().map(|(topic, _)| topic.len()).sum();
            assert!(held <= memo.bytes && memo.bytes <= BYTES_MAX);
        }
    }

    #[test]
    fn a_size_or_a_property_that_nobody_wants_needs_no_look_at_the_topic() {
        let selector = |filter| Selector {
            user_property: Some("x".into()),
            min_payload: 5,
            ..filters(&[filter])
        };
        let selection = compile(&[&[selector("a")], &[selector("b")]]);
        let mut memo = Memo::default();
        assert_eq!(selection.next(&mut memo, &message("a", b"1234"), 0), None);
        assert_eq!(memo.topics, 0);
    }
}
