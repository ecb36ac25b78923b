//! `wasmqtt passwd`.

use std::path::PathBuf;

use wasmqtt::passwd::{self, Change, Form};

/// Words for `passwd`.
#[derive(clap::Args)]
pub(crate) struct Passwd {
    /// User name.
    name: String,
    /// Write it into this password file of the password-file plugin, which is made if it is not there.
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Take the user out of the file.
    #[arg(long, requires = "file")]
    delete: bool,
    /// Print NAME:HASH, a line of a password file, instead of a line of the configuration.
    #[arg(long, conflicts_with = "file")]
    plain: bool,
    /// For the scram plugin: SCRAM-SHA-256 credentials.
    #[arg(long, conflicts_with_all = ["file", "plain"])]
    scram: bool,
    /// Of SCRAM: more make a stolen configuration harder to use, and each login harder for a small device.
    #[arg(long, requires = "scram", default_value_t = passwd::ITERATIONS)]
    #[arg(value_parser = clap::value_parser!(u32).range(4096..=10_000_000))]
    iterations: u32,
}

impl Passwd {
    /// Does what was asked.
    pub(crate) fn execute(&self) -> anyhow::Result<()> {
        let Self { name, file, delete, plain, scram, iterations } = self;
        let Some(path) = file else {
            let form = if *scram { Form::Scram(*iterations) } else { Form::Argon2id };
            let line = if *plain { passwd::plain(name) } else { passwd::line(name, form) };
            println!("{}", line?);
            return Ok(());
        };
        let change = match delete {
            true => passwd::delete(path, name),
            false => passwd::set(path, name, &passwd::hash_of(name, Form::Argon2id)?),
        };
        let file = path.display();
        match change? {
            Change::Added => println!("{name} is added to {file}"),
            Change::Replaced => println!("{name} has another password in {file}"),
            Change::Deleted => println!("{name} is deleted from {file}"),
            Change::Emptied => {
                println!("{name} is deleted from {file}");
                eprintln!(
                    "warning: {file} has no user any more; a broker that runs refuses it, and goes on with those it had"
                );
            }
        }
        Ok(())
    }
}
