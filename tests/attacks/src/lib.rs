//! Attacks on a broker, and what a hundred well-behaved clients beside them notice: what they lose, how long their
//! messages take, and what the broker needs meanwhile. Must not know how a broker defends itself.

// A harness: what is not as it must be ends it, with the place.
#![allow(clippy::indexing_slicing)]

pub mod attack;
pub mod crowd;
pub mod report;
pub mod run;
pub mod target;
mod wire;
