//! The `metrics` capability: handles of the plugin's own metrics.

use std::sync::Arc;

use wasmtime::Result;
use wasmtime::component::Resource;

use super::Host;
use super::log::Leave;
use crate::bindings::wasmqtt::plugin::metrics;
use crate::metrics::{MetricKind, Series};

/// A handle; its number is the place in [`Host::series`](super::Host), or beyond it.
#[allow(unreachable_pub)] // The generated bindings name it in a public type.
pub struct Counter;
/// Likewise.
#[allow(unreachable_pub)]
pub struct Gauge;

impl Host {
    fn open(&mut self, kind: MetricKind, name: &str, help: &str) -> Result<u32> {
        self.add_handle()?;
        let series = match self.surroundings.metrics.get(kind, name, help) {
            Ok(series) => series,
            Err(why) => {
                if let Leave::Granted { dropped } = self.surroundings.lines.take() {
                    let plugin = &*self.surroundings.name;
                    tracing::warn!(target: "wasmqtt::plugin", plugin, dropped, "no metric: {why}");
                }
                return Ok(u32::MAX);
            }
        };
        let known = self.series.iter().position(|known| Arc::ptr_eq(known, &series));
        // As many as the plugin has metrics.
        let place = known.unwrap_or_else(|| {
            self.series.push(series);
            self.series.len() - 1
        });
        Ok(u32::try_from(place)?)
    }

    fn series(&self, rep: u32) -> Option<&Series> {
        self.series.get(rep as usize).map(|series| &**series)
    }
}

impl metrics::Host for Host {}

impl metrics::HostCounter for Host {
    fn new(&mut self, name: String, help: String) -> Result<Resource<Counter>> {
        self.open(MetricKind::Counter, &name, &help).map(Resource::new_own)
    }

    fn add(&mut self, counter: Resource<Counter>, n: u64) -> Result<()> {
        if let Some(series) = self.series(counter.rep()) {
            series.add(self.worker, n);
        }
        Ok(())
    }

    fn drop(&mut self, _: Resource<Counter>) -> Result<()> {
        self.drop_handle();
        Ok(())
    }
}

impl metrics::HostGauge for Host {
    fn new(&mut self, name: String, help: String) -> Result<Resource<Gauge>> {
        self.open(MetricKind::Gauge, &name, &help).map(Resource::new_own)
    }

    fn set(&mut self, gauge: Resource<Gauge>, value: f64) -> Result<()> {
        if let Some(series) = self.series(gauge.rep()) {
            series.set(value);
        }
        Ok(())
    }

    fn drop(&mut self, _: Resource<Gauge>) -> Result<()> {
        self.drop_handle();
        Ok(())
    }
}
