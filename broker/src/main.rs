//! `wasmqtt`: the broker.

mod cli;

use std::process::ExitCode;

/// Messages are made on one worker and dropped on another, mostly small and soon: with this allocator a message costs a
/// tenth less than with the system's, and one that crosses workers a fifth.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::Cli::read().execute()
}
