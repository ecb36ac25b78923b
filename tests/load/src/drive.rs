//! What drives a server: the load tool and the load client, on cores of their own.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;

use crate::process::pinned;
use crate::tool::{Outcome, run};

/// Programs that make load, and where they run.
#[derive(Clone, Debug)]
pub struct Drive {
    /// The load tool.
    pub tool: PathBuf,
    /// This program, whose `client` is the load client.
    pub client: PathBuf,
    /// Such as "1".
    pub cores: String,
}

impl Drive {
    /// One run of the load tool. `arguments` are words with spaces between them.
    ///
    /// # Errors
    /// With what it said.
    pub fn tool(
        &self,
        mode: &str,
        address: SocketAddr,
        process: u32,
        arguments: &str,
    ) -> Result<Outcome> {
        let mut command = pinned(Some(&self.cores), &self.tool);
        command.args([mode, "--addr", &address.to_string(), "--pid", &process.to_string()]);
        command.args(arguments.split_whitespace());
        run(&mut command)
    }

    /// One run of the load client.
    ///
    /// # Errors
    /// With what it said.
    pub fn client(
        &self,
        what: &str,
        address: SocketAddr,
        process: u32,
        arguments: &str,
    ) -> Result<Outcome> {
        let mut command = pinned(Some(&self.cores), &self.client);
        command.args(["client", what, "--address", &address.to_string()]);
        command.args(["--process", &process.to_string()]).args(arguments.split_whitespace());
        run(&mut command)
    }
}
