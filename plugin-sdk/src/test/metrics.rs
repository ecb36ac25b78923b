//! The broker's `metrics` for tests: per thread.

use std::cell::RefCell;
use std::collections::HashMap;

/// As the broker bounds them.
const METRICS_MAX: usize = 100;
const NAME_MAX: usize = 100;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
}

thread_local! {
    static VALUES: RefCell<HashMap<String, (Kind, f64)>> = RefCell::default();
}

/// What a metric of this thread stands at; none where there is no such metric, be it that the broker would not have it.
pub fn metric(name: &str) -> Option<f64> {
    VALUES.with_borrow(|values| values.get(name).map(|(_, value)| *value))
}

fn is_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    name.len() <= NAME_MAX
        && name.bytes().next().is_some_and(letter)
        && name.bytes().all(|byte| letter(byte) || byte.is_ascii_digit())
}

/// What the broker calls it, behind the plugin's name: `_total` is added to the name of a counter.
fn exported(kind: Kind, name: &str) -> String {
    match kind {
        Kind::Counter if !name.ends_with("_total") => format!("{name}_total"),
        _ => name.to_owned(),
    }
}

/// The name, where there is such a metric now.
fn open(kind: Kind, name: &str) -> Option<String> {
    VALUES.with_borrow_mut(|values| {
        let known = values.get(name).map(|(kind, _)| *kind);
        let room = known.is_some() || (is_name(name) && values.len() < METRICS_MAX);
        let clashes = values
            .iter()
            .any(|(other, (of, _))| other != name && exported(*of, other) == exported(kind, name));
        if !room || clashes || known.is_some_and(|known| known != kind) {
            return None;
        }
        values.entry(name.to_owned()).or_insert((kind, 0.0));
        Some(name.to_owned())
    })
}

fn change(name: Option<&String>, change: impl FnOnce(&mut f64)) {
    VALUES.with_borrow_mut(|values| {
        if let Some((_, value)) = name.and_then(|name| values.get_mut(name)) {
            change(value);
        }
    });
}

#[derive(Debug)]
pub(crate) struct Counter(Option<String>);

impl Counter {
    pub(crate) fn new(name: &str, _: &str) -> Self {
        Self(open(Kind::Counter, name))
    }

    pub(crate) fn add(&self, n: u64) {
        change(self.0.as_ref(), |value| *value += n as f64);
    }
}

#[derive(Debug)]
pub(crate) struct Gauge(Option<String>);

impl Gauge {
    pub(crate) fn new(name: &str, _: &str) -> Self {
        Self(open(Kind::Gauge, name))
    }

    pub(crate) fn set(&self, value: f64) {
        change(self.0.as_ref(), |held| *held = value);
    }
}
