//! Does with `kv` what the payload of each message says, and makes the answer the payload:
//!
//! ```text
//! get KEY                          the value, or "none"
//! set KEY VALUE [MILLISECONDS]     "ok", or the error
//! delete KEY                       "true" or "false"
//! increment KEY BY [MILLISECONDS]  the sum, or the error
//! take KEY PER-SECOND BURST        "true" or "false"
//! count NAME N                     "ok"; adds to a counter
//! gauge NAME VALUE                 "ok"; sets a gauge
//! handles N                        "ok"; keeps so many handles of a gauge
//! fill BYTES                       sets keys with values of this size until that fails; how many
//! ```

use std::time::Duration;

use wasmqtt_plugin::{
    Failure, Message, NoConfig, Plugin, Registration, Selector, Transformation, Verdict, export,
    kv, metrics,
};

struct Keeper;

impl Plugin for Keeper {
    type Config = NoConfig;

    fn init(_: NoConfig) -> Result<(Self, Registration), String> {
        Ok((Self, Registration::new().on_publish(Selector::all())))
    }
}

fn ttl(ms: Option<&str>) -> Option<Duration> {
    Some(Duration::from_millis(ms?.parse().ok()?))
}

fn obey(order: &str) -> Option<String> {
    let mut words = order.split(' ');
    let (verb, key) = (words.next()?, words.next()?);
    let text = |result: Result<(), String>| result.map_or_else(|why| why, |()| "ok".to_owned());
    Some(match verb {
        "get" => match kv::get(key) {
            Some(value) => String::from_utf8_lossy(&value).into_owned(),
            None => "none".to_owned(),
        },
        "set" => text(kv::set(key, words.next()?.as_bytes(), ttl(words.next()))),
        "delete" => kv::delete(key).to_string(),
        "increment" => {
            let by = words.next()?.parse().ok()?;
            kv::increment(key, by, ttl(words.next())).map_or_else(|why| why, |sum| sum.to_string())
        }
        "take" => {
            let (rate, burst) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            kv::take(key, 1, rate, burst).to_string()
        }
        "count" => {
            metrics::Counter::new(key, "What was counted.").add(words.next()?.parse().ok()?);
            "ok".to_owned()
        }
        "gauge" => {
            metrics::Gauge::new(key, "What is.").set(words.next()?.parse().ok()?);
            "ok".to_owned()
        }
        "handles" => {
            let many = 0..key.parse().ok()?;
            let handles: Vec<_> = many.map(|_| metrics::Gauge::new("handles", "Many.")).collect();
            handles.len().to_string()
        }
        "fill" => {
            let value = vec![b'x'; key.parse().ok()?];
            let refused = (0..).position(|n| kv::set(&format!("fill-{n}"), &value, None).is_err());
            refused.unwrap_or_default().to_string()
        }
        _ => return None,
    })
}

impl Transformation for Keeper {
    fn on_publish(&mut self, message: &impl Message) -> Result<Verdict, Failure> {
        let payload = message.payload();
        let order = String::from_utf8_lossy(&payload);
        match obey(&order) {
            Some(answer) => message.set_payload(answer.as_bytes()),
            None => return Err(Failure::permanent(format!("no order: {order}"))),
        }
        Ok(Verdict::Forward)
    }
}

export!(Keeper: transformation);

#[cfg(test)]
mod tests {
    use super::*;
    use wasmqtt_plugin::test;

    fn told(order: &str) -> String {
        let message = test::Message::new("a", order);
        assert_eq!(Keeper.on_publish(&message), Ok(Verdict::Forward));
        String::from_utf8(message.changes().payload.unwrap()).unwrap()
    }

    #[test]
    fn it_does_as_it_is_told_with_the_keys_of_the_fake() {
        test::set_clock(Duration::ZERO);
        assert_eq!((told("set a 1 100"), told("get a")), ("ok".into(), "1".into()));
        assert_eq!((told("increment a 4"), told("increment n 2")), ("5".into(), "2".into()));
        assert_eq!((told("take b 1 1"), told("take b 1 1")), ("true".into(), "false".into()));
        test::set_clock(Duration::from_secs(1));
        assert_eq!((told("get a"), told("get n")), ("none".into(), "2".into()));
        assert_eq!((told("take b 1 1"), told("delete n")), ("true".into(), "true".into()));
        assert_eq!((told("count c 2"), told("count c 3")), ("ok".into(), "ok".into()));
        assert_eq!((told("gauge g -1.5"), test::metric("g")), ("ok".into(), Some(-1.5)));
        assert_eq!(test::metric("c"), Some(5.0));
        assert_eq!(told("set n x"), "ok");
        assert_eq!(told("increment n 1"), "the value is not a whole number");
        test::set_kv_limit(10_000);
        assert!(told("fill 100").parse::<u32>().unwrap() > 10);
        assert!(told("set more 1").contains("10000 bytes"));
    }
}
