//! The command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use wasmqtt::config::{self, Config};
use wasmqtt::run;

mod check;
mod explain;
mod man;
mod passwd;
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
    /// Check the configuration and its plugins, which are loaded and started as by the broker: every mistake at once,
    /// with file and line. Ends with 0 if a broker would start with it, 1 if not.
    Check(check::Check),
    /// Print the configuration in force, defaults filled in.
    PrintConfig(Source),
    /// Hash a password for the password-file or the scram plugin: prints a line for its [plugin.config.users], or keeps
    /// a password file.
    Passwd(passwd::Passwd),
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
    /// Print a manual page, in roff: `wasmqtt man check | man -l -`.
    Man(man::Man),
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
            None => Ok(config::built_in()),
        }
    }
}

impl Cli {
    /// What the command line says; ends the process where that is nothing that can be done, or only help is wanted.
    pub(crate) fn read() -> Self {
        let matches = Self::command().get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| {
            // What is shown beside it is how the command that was meant is used.
            let mut command = Self::command();
            command.build();
            let mut given = &matches;
            while let Some((name, deeper)) = given.subcommand() {
                given = deeper;
                command = command.find_subcommand(name).cloned().unwrap_or(command);
            }
            error.format(&mut command).exit()
        })
    }

    /// Does what was asked; errors go to standard error.
    pub(crate) fn execute(self) -> ExitCode {
        let done = match &self.command {
            Command::Run(source) => source
                .load()
                .and_then(|(config, warnings)| run::run(config, &warnings, source.path())),
            Command::Check(check) => return check.execute(),
            Command::PrintConfig(source) => source.load().map(|(config, warnings)| {
                warnings.iter().for_each(|warning| eprintln!("{warning}\n"));
                print!("{}", config::print(&config));
            }),
            Command::Passwd(passwd) => passwd.execute(),
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
            Command::Man(man) => man.execute(),
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
