//! What the broker costs under load, beside other servers: starts them one after the other, pinned to a core of their
//! own, has them driven by the load tool or by the load client here, and shows what came of it as a table, as JSON and
//! as a plot.
//!
//! The measure is the processor time of the server for each delivered message, read from /proc: it survives a noisy
//! machine. Every comparison is made in one run, interleaved.

// This package is a test: it knows how long its own arrays are.
#![allow(clippy::indexing_slicing)]

pub mod client;
pub mod compare;
pub mod drive;
pub mod instructions;
pub mod options;
pub mod plugins;
pub mod process;
pub mod report;
pub mod run;
pub mod scale;
pub mod server;
pub mod strace;
pub mod tool;
pub mod tunnel;
pub mod ways;
pub mod workers;
