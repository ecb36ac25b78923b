//! The other end of the wire: `wasmqtt pub` and `wasmqtt sub`, with the flags that people know from mosquitto's
//! programs, over every transport that the broker has and in every version of MQTT. Knows the codec, and nothing
//! of the broker.

mod address;
mod dial;
mod enter;
mod failure;
mod format;
mod link;
mod message;
mod options;
mod progress;
mod property;
mod publish;
mod subscribe;
mod tls;
mod websocket;

pub use publish::Publisher;
pub use subscribe::Subscriber;

use failure::Failure;

/// One thread is enough for one connection.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| Failure::error(format!("cannot start a runtime: {error}")))?;
    let done = runtime.block_on(work);
    // A thread that waits for standard input would hold the end up.
    runtime.shutdown_background();
    done
}
