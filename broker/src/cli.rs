//! The command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use wasmqtt::config::{self, Config};
use wasmqtt::passwd::{self, Form};
use wasmqtt::run;

mod explain;
mod plugin;

/// Used when no other is named and it is there.
const DEFAULT: &str = "wasmqtt.toml";

/// An MQTT broker whose authentication, authorization and message transformation are WebAssembly components.
#[derive(Parser)]
#[command(name = "wasmqtt", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the broker in the foreground. SIGHUP reloads, SIGTERM stops it.
    Run(Source),
    /// Check the configuration: every mistake at once, with file and line.
    Check(Source),
    /// Print the configuration in force, defaults filled in.
    PrintConfig(Source),
    /// Hash a password for the password-file or the scram plugin: prints a line for its [plugin.config.users].
    Passwd {
        /// User name.
        name: String,
        /// For the scram plugin: SCRAM-SHA-256 credentials.
        #[arg(long)]
        scram: bool,
        /// Of SCRAM: more make a stolen configuration harder to use, and each login harder for a small device.
        #[arg(long, requires = "scram", default_value_t = passwd::ITERATIONS)]
        #[arg(value_parser = clap::value_parser!(u32).range(4096..=10_000_000))]
        iterations: u32,
    },
    /// Publish messages.
    Pub(Box<wasmqtt_client::Publisher>),
    /// Subscribe, and write what comes to standard output.
    Sub(Box<wasmqtt_client::Subscriber>),
    /// Explain which rule or plugin decides what a client may do. Ends with 0 if it may, 1 if not, 2 if nobody can say.
    Explain(explain::Explain),
    /// Try a reload. Ends with 0 if it would be applied, 1 if it would be refused, 2 if nobody can say.
    Reload(explain::Reload),
    /// Make, build, test and measure plugins.
    #[command(subcommand)]
    Plugin(plugin::Command),
    /// Print a script that completes this command in a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page, in roff: `wasmqtt man | man -l -`.
    Man,
}

#[derive(Args)]
struct Source {
    /// Configuration file. Without it: wasmqtt.toml here, else the built-in defaults.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Source {
    fn path(&self) -> Option<&Path> {
        self.config.as_deref().or_else(|| Some(Path::new(DEFAULT)).filter(|path| path.exists()))
    }

    fn load(&self) -> anyhow::Result<(Config, Vec<config::Problem>)> {
        match self.path() {
            Some(path) => run::load(path),
            None => Ok((Config::default(), Vec::new())),
        }
    }
}

impl Cli {
    /// Does what was asked; errors go to standard error.
    pub(crate) fn execute(self) -> ExitCode {
        let done = match &self.command {
            Command::Run(source) => source
                .load()
                .and_then(|(config, warnings)| run::run(config, &warnings, source.path())),
            Command::Check(source) => source.load().map(|(_, warnings)| {
                warnings.iter().for_each(|warning| eprintln!("{warning}\n"));
                println!("the configuration is valid");
            }),
            Command::PrintConfig(source) => source.load().map(|(config, warnings)| {
                warnings.iter().for_each(|warning| eprintln!("{warning}\n"));
                print!("{}", config::print(&config));
            }),
            Command::Passwd { name, scram, iterations } => {
                let form = if *scram { Form::Scram(*iterations) } else { Form::Argon2id };
                passwd::line(name, form).map(|line| println!("{line}"))
            }
            Command::Pub(publisher) => return publisher.execute().into(),
            Command::Sub(subscriber) => return subscriber.execute().into(),
            Command::Explain(explain) => return explain.execute(),
            Command::Reload(reload) => return reload.execute(),
            Command::Plugin(command) => return command.execute(),
            Command::Completions { shell } => {
                let mut command = Cli::command();
                clap_complete::generate(*shell, &mut command, "wasmqtt", &mut std::io::stdout());
                Ok(())
            }
            Command::Man => clap_mangen::Man::new(Cli::command())
                .render(&mut std::io::stdout())
                .map_err(Into::into),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error:#}");
                ExitCode::FAILURE
            }
        }
    }
}
