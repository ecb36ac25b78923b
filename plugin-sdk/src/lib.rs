//! What a plugin for the wasmqtt broker is written with: a trait for each hook, the words of the
//! contract as plain Rust values, and [`export!`], which turns a type into a component. It knows the
//! contract in `wit/` and nothing of any broker crate.
//!
//! ```
//! use wasmqtt_plugin::*;
//!
//! struct Greeter;
//!
//! impl Plugin for Greeter {
//!     type Config = NoConfig;
//!     fn init(_: NoConfig) -> Result<(Self, Registration), String> {
//!         Ok((Self, Registration::new().on_publish(Selector::filter("hall/#"))))
//!     }
//! }
//!
//! impl Transformation for Greeter {
//!     fn on_publish(&mut self, message: &impl Message) -> Result<Verdict, Failure> {
//!         message.set_user_property("greeted", "yes");
//!         Ok(Verdict::Forward)
//!     }
//! }
//!
//! export!(Greeter: transformation);
//!
//! // No wasm is needed to test it.
//! let message = test::Message::new("hall/door", "open");
//! assert_eq!(Greeter.on_publish(&message), Ok(Verdict::Forward));
//! assert_eq!(message.user_property("greeted").as_deref(), Some("yes"));
//! ```
//!
//! The logic of a plugin is ordinary Rust: on any target but wasm, the calls into the broker
//! ([`log`], [`clock`], [`random`], [`Client::attribute`]) go to the test doubles in [`test`].

#[doc(hidden)]
#[allow(unsafe_code, missing_docs, unreachable_pub, clippy::all)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
pub mod bindings;

mod authentication;
mod authorization;
mod client;
pub mod clock;
mod enhanced_authentication;
#[doc(hidden)]
pub mod export;
pub mod http;
mod init;
pub mod kv;
pub mod log;
mod message;
pub mod metrics;
mod observation;
pub mod publisher;
pub mod random;
mod refusal;
mod registration;
pub mod revocation;
#[cfg(not(target_family = "wasm"))]
pub mod test;
mod text;

pub use authentication::{Authentication, Effect, Identity, Limits, Outcome, Permission};
pub use authorization::{Action, Answer, Authorization, Decision, Request};
pub use client::{Certificate, Client, Connect, Protocol, Transport};
pub use enhanced_authentication::{Challenge, EnhancedAuthentication, Step, Success};
pub use init::{NoConfig, Plugin};
pub use message::{Message, Origin, Qos, Transformation, UserProperty, Verdict};
pub use observation::{Event, EventKind, Observation};
pub use publisher::Publication;
pub use refusal::{Failure, Refusal};
pub use registration::{Actions, Registration, Selector};
pub use text::Text;

/// The examples of the guide compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Guide;
