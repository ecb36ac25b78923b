//! The broker's `kv` for tests: per thread, by the clock of [`set_clock`](super::set_clock).

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::Duration;

/// What the broker counts for a key besides its bytes and those of its value.
const OVERHEAD: usize = 128;

struct Value {
    bytes: Vec<u8>,
    expires: Option<Duration>,
}

struct Bucket {
    /// Thousandths.
    tokens: u64,
    at: Duration,
}

thread_local! {
    static LIMIT: Cell<usize> = const { Cell::new(1 << 20) };
    static VALUES: RefCell<HashMap<String, Value>> = RefCell::default();
    static BUCKETS: RefCell<HashMap<String, Bucket>> = RefCell::default();
}

/// How many bytes this thread's keys and values may take; 1 MiB, if nothing else is said.
pub fn set_kv_limit(bytes: usize) {
    LIMIT.set(bytes);
}

fn with<R>(work: impl FnOnce(&mut HashMap<String, Value>) -> R) -> R {
    let now = super::clock();
    VALUES.with_borrow_mut(|values| {
        values.retain(|_, value| value.expires.is_none_or(|expires| expires > now));
        work(values)
    })
}

fn put(
    values: &mut HashMap<String, Value>,
    key: &str,
    bytes: Vec<u8>,
    expires: Option<Duration>,
) -> Result<(), String> {
    let others = values.iter().filter(|(other, _)| *other != key);
    let others: usize = others.map(|(key, value)| key.len() + value.bytes.len() + OVERHEAD).sum();
    let buckets: usize =
        BUCKETS.with_borrow(|buckets| buckets.keys().map(|key| key.len() + OVERHEAD).sum());
    let limit = LIMIT.get();
    if others + buckets + key.len() + bytes.len() + OVERHEAD > limit {
        return Err(format!("kv is full: it may hold {limit} bytes"));
    }
    values.insert(key.to_owned(), Value { bytes, expires });
    Ok(())
}

fn after(ttl: Option<u32>) -> Option<Duration> {
    ttl.map(|ttl| super::clock() + Duration::from_millis(ttl.into()))
}

pub(crate) fn get(key: &str) -> Option<Vec<u8>> {
    with(|values| values.get(key).map(|value| value.bytes.clone()))
}

pub(crate) fn set(key: &str, value: &[u8], ttl: Option<u32>) -> Result<(), String> {
    with(|values| put(values, key, value.to_owned(), after(ttl)))
}

pub(crate) fn delete(key: &str) -> bool {
    with(|values| values.remove(key).is_some())
}

pub(crate) fn increment(key: &str, by: i64, ttl: Option<u32>) -> Result<i64, String> {
    with(|values| {
        let (before, expires) = match values.get(key) {
            None => (0, after(ttl)),
            Some(value) => {
                let text = std::str::from_utf8(&value.bytes).ok();
                let number = text.and_then(|text| text.parse::<i64>().ok());
                (number.ok_or("the value is not a whole number")?, value.expires)
            }
        };
        let sum = before.checked_add(by).ok_or("the sum is beyond 64 bits")?;
        put(values, key, sum.to_string().into_bytes(), expires)?;
        Ok(sum)
    })
}

pub(crate) fn take(key: &str, tokens: u32, per_second: u32, burst: u32) -> bool {
    let (now, full) = (super::clock(), u64::from(burst) * 1000);
    BUCKETS.with_borrow_mut(|buckets| {
        let bucket =
            buckets.entry(key.to_owned()).or_insert_with(|| Bucket { tokens: full, at: now });
        let passed = u64::try_from(now.saturating_sub(bucket.at).as_millis()).unwrap_or(u64::MAX);
        let filled = passed.saturating_mul(per_second.into());
        bucket.tokens = bucket.tokens.saturating_add(filled).min(full);
        bucket.at = now;
        let wanted = u64::from(tokens) * 1000;
        let enough = bucket.tokens >= wanted;
        if enough {
            bucket.tokens -= wanted;
        }
        enough
    })
}
