//! What a plugin said at `init` that it wants to be asked, checked. Must not know wasm.

use std::time::Duration;

use wasmqtt_codec::Filter;
use wasmqtt_core::judge::Actions;
use wasmqtt_core::observe::Kinds;

/// Selectors of one hook, and filters of one selector.
const SELECTORS_MAX: usize = 256;
const FILTERS_MAX: usize = 1024;
/// Authentication methods, and bytes of the name of one.
const METHODS_MAX: usize = 16;
const METHOD_MAX: usize = 256;
/// A tick more often would keep a processor busy with nothing.
const TICK_MIN: Duration = Duration::from_millis(10);

/// A plugin's answer to `init`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Registration {
    /// Authentication methods it speaks.
    pub(crate) methods: Vec<String>,
    pub(crate) authorize: Actions,
    pub(crate) on_publish: Selectors,
    pub(crate) on_deliver: Selectors,
    /// What it wants to be told.
    pub(crate) events: Kinds,
    /// Between two ticks; none = it wants none.
    pub(crate) tick_every: Option<Duration>,
}

impl Registration {
    /// Whether it wants events or ticks.
    pub(crate) fn observes(&self) -> bool {
        !self.events.is_empty() || self.tick_every.is_some()
    }
}

/// The time between two ticks, as it was said in milliseconds.
pub(crate) fn tick_every(said: u32) -> Result<Option<Duration>, String> {
    let every = Duration::from_millis(said.into());
    match every {
        Duration::ZERO => Ok(None),
        every if every < TICK_MIN => {
            Err(format!("tick-every is {said}; it is 0 or at least {} ms", TICK_MIN.as_millis()))
        }
        every => Ok(Some(every)),
    }
}

/// Which messages one hook wants: those that any of the selectors matches.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Selectors(Box<[Selector]>);

/// Which messages one selector matches.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Selector {
    /// Empty means every topic.
    pub(crate) filters: Vec<String>,
    pub(crate) user_property: Option<String>,
    /// Bytes.
    pub(crate) min_payload: u32,
    pub(crate) max_payload: Option<u32>,
}

/// Checks the names of authentication methods.
pub(crate) fn check_methods(methods: &[String]) -> Result<(), String> {
    if methods.len() > METHODS_MAX {
        let count = methods.len();
        return Err(format!("{count} authentication methods, at most {METHODS_MAX} are allowed"));
    }
    let wrong = |name: &&String| name.is_empty() || name.len() > METHOD_MAX || name.contains('\0');
    if let Some(name) = methods.iter().find(wrong) {
        let name: String = name.chars().take(32).collect();
        return Err(format!(
            "{name:?} is no authentication method: 1 to {METHOD_MAX} bytes without U+0000"
        ));
    }
    Ok(())
}

impl Selectors {
    /// Checks the selectors of the hook called `hook`.
    pub(crate) fn new(hook: &str, selectors: Vec<Selector>) -> Result<Self, String> {
        if selectors.len() > SELECTORS_MAX {
            return Err(format!(
                "{hook} has {} selectors, at most {SELECTORS_MAX} are allowed",
                selectors.len()
            ));
        }
        for selector in &selectors {
            let filters = selector.filters.len();
            if filters > FILTERS_MAX {
                return Err(format!(
                    "a selector of {hook} has {filters} filters, at most {FILTERS_MAX} are allowed"
                ));
            }
            for filter in &selector.filters {
                let parsed = Filter::parse(filter)
                    .map_err(|error| format!("`{filter}` in a selector of {hook}: {error}"))?;
                if parsed.share().is_some() {
                    return Err(format!("`{filter}` in a selector of {hook}: it cannot be shared"));
                }
            }
        }
        Ok(Self(selectors.into_boxed_slice()))
    }

    /// Whether no message is wanted.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Selector> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_named_and_bounded() {
        let methods = |count, name: &str| check_methods(&vec![name.to_owned(); count]);
        assert!(methods(METHODS_MAX, &"x".repeat(METHOD_MAX)).is_ok());
        for (count, name) in
            [(METHODS_MAX + 1, "x"), (1, ""), (1, "a\0b"), (1, &"x".repeat(METHOD_MAX + 1))]
        {
            assert!(methods(count, name).is_err(), "{count} {name}");
        }
    }

    #[test]
    fn a_filter_that_is_none_or_is_shared_is_refused_and_named() {
        for filter in ["a/#/b", "", "$share/g/a"] {
            let bad = Selector { filters: vec![filter.into()], ..Selector::default() };
            let error = Selectors::new("on-publish", vec![bad]).unwrap_err();
            assert!(error.contains(&format!("`{filter}` in a selector of on-publish")), "{error}");
        }
    }

    #[test]
    fn a_tick_is_not_more_often_than_every_10_ms() {
        assert_eq!(tick_every(0), Ok(None));
        assert_eq!(tick_every(10), Ok(Some(TICK_MIN)));
        assert!(tick_every(9).unwrap_err().contains("at least 10 ms"));
    }

    #[test]
    fn selectors_and_filters_are_bounded() {
        let many = |n| vec![Selector::default(); n];
        assert!(Selectors::new("on-publish", many(SELECTORS_MAX)).is_ok());
        assert!(Selectors::new("on-publish", many(SELECTORS_MAX + 1)).is_err());
        let wide = |n| vec![Selector { filters: vec!["a".into(); n], ..Selector::default() }];
        assert!(Selectors::new("on-publish", wide(FILTERS_MAX)).is_ok());
        assert!(Selectors::new("on-publish", wide(FILTERS_MAX + 1)).is_err());
    }
}
