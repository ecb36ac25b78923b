//! The `kv` capability: the plugin's own keys, by the broker's clock.

use std::time::Duration;

use super::Host;
use super::log::Leave;
use crate::bindings::wasmqtt::plugin::kv;
use crate::kv::Refused;

fn duration(ms: Option<u32>) -> Option<Duration> {
    ms.map(|ms| Duration::from_millis(ms.into()))
}

impl kv::Host for Host {
    fn get(&mut self, key: String) -> Option<Vec<u8>> {
        let around = &self.surroundings;
        around.kv.get(around.clock.now(), &key)
    }

    fn set(&mut self, key: String, value: Vec<u8>, ttl: Option<u32>) -> Result<(), String> {
        let around = &self.surroundings;
        let now = around.clock.now();
        around
            .kv
            .set(around.kv_limit, now, &key, &value, duration(ttl))
            .map_err(|why| why.to_string())
    }

    fn delete(&mut self, key: String) -> bool {
        let around = &self.surroundings;
        around.kv.delete(around.clock.now(), &key)
    }

    fn increment(&mut self, key: String, by: i64, ttl: Option<u32>) -> Result<i64, String> {
        let around = &self.surroundings;
        let now = around.clock.now();
        around
            .kv
            .increment(around.kv_limit, now, &key, by, duration(ttl))
            .map_err(|why| why.to_string())
    }

    fn take(&mut self, key: String, tokens: u32, per_second: u32, burst: u32) -> bool {
        let around = &self.surroundings;
        let now = around.clock.now();
        around
            .kv
            .take(around.kv_limit, now, &key, tokens, (per_second, burst))
            .unwrap_or_else(|why: Refused| {
                // The plugin cannot tell this from a bucket that is empty; the operator must.
                if let Leave::Granted { dropped } = around.lines.take() {
                    let plugin = &*around.name;
                    tracing::warn!(target: "wasmqtt::plugin", plugin, dropped, "no token bucket: {why}");
                }
                false
            })
    }
}
