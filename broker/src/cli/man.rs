//! `wasmqtt man`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::CommandFactory as _;

use super::Cli;

/// Words for `man`.
#[derive(clap::Args)]
pub(crate) struct Man {
    /// Whose page: `wasmqtt man plugin test`. Without it: the page that names the others.
    command: Vec<String>,
    /// Write the pages of all commands into this directory, which is made if it is not there.
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    all: Option<PathBuf>,
}

impl Man {
    /// Does what was asked.
    pub(crate) fn execute(&self) -> anyhow::Result<()> {
        // It is the same text as `--help`.
        let mut page = Cli::command().disable_help_subcommand(true);
        if let Some(directory) = &self.all {
            let cannot = || format!("cannot write to {}", directory.display());
            std::fs::create_dir_all(directory).with_context(cannot)?;
            return clap_mangen::generate_to(page, directory).with_context(cannot);
        }
        // Gives each command the name that its page has.
        page.build();
        for word in &self.command {
            let found = page.find_subcommand(word).cloned();
            page = found.with_context(|| {
                let known = page.get_subcommands().map(|it| it.get_name());
                let known: Vec<&str> = known.collect();
                let all = page.get_bin_name().unwrap_or("wasmqtt");
                match known.is_empty() {
                    true => format!("`{all}` has no commands of its own"),
                    false => {
                        format!("`{all}` has no command `{word}` (it has: {})", known.join(", "))
                    }
                }
            })?;
        }
        Ok(clap_mangen::Man::new(page).render(&mut std::io::stdout())?)
    }
}
