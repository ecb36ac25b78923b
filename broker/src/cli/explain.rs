//! `wasmqtt explain` and `wasmqtt reload`.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context as _;
use wasmqtt::config::{Config, Log, LogLevel};
use wasmqtt::explain::{self, Action, Content, Question, Who};
use wasmqtt::reload::{self, Rehearsal};

use super::Source;

/// What a script reads in the exit code.
const DENIED: u8 = 1;
const ERROR: u8 = 2;

/// Words for `explain`.
#[derive(clap::Args)]
pub(crate) struct Explain {
    /// The client identifier.
    client_id: String,
    /// What the client wants to do.
    action: Action,
    /// A topic name; to subscribe, a filter.
    topic: String,
    #[command(flatten)]
    source: Source,
    /// Of the publication, or asked for by the subscription.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=2))]
    qos: u8,
    /// Of a publication.
    #[arg(long)]
    retain: bool,
    /// Of a publication: what it carries, for the transformers. Without it: nothing.
    #[arg(long, value_name = "TEXT")]
    payload: Option<String>,
    /// Likewise.
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// Likewise: a user property. May be given again.
    #[arg(long = "property", value_name = "NAME=VALUE", value_parser = attribute)]
    properties: Vec<(String, String)>,
    /// Ask the broker that runs with this configuration, by its [admin], about a client that has a session there.
    #[arg(long, conflicts_with_all = ["listener", "username", "authenticate", "attributes"])]
    running: bool,
    /// Where that broker's [admin] is. Without it: where the configuration says.
    #[arg(long, value_name = "ADDRESS", requires = "running")]
    admin: Option<SocketAddr>,
    /// Where the client comes in. Without it: the first listener.
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// As the client sends it.
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// Read a password and let the authenticators say who the client is, instead of taking its word.
    #[arg(long)]
    authenticate: bool,
    /// An attribute that an authenticator would set.
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = attribute, conflicts_with = "authenticate")]
    attributes: Vec<(String, String)>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn attribute(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Explain {
    /// Does what was asked; errors go to standard error.
    pub(crate) fn execute(&self) -> ExitCode {
        // What a plugin logs, and why it gave no answer, is a part of the explanation.
        let _ = wasmqtt::log::start(&Log { level: LogLevel::Warn, ..Log::default() });
        match self.explain() {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => DENIED.into(),
            Err(error) => {
                eprintln!("{error:#}");
                ERROR.into()
            }
        }
    }

    fn explain(&self) -> anyhow::Result<bool> {
        let question = Question {
            client_id: self.client_id.clone(),
            action: self.action,
            topic: self.topic.clone(),
            qos: self.qos,
            retain: self.retain,
            message: Some(Content {
                payload: self.payload.clone().unwrap_or_default(),
                content_type: self.content_type.clone(),
                user_properties: self.properties.clone(),
            }),
        };
        let explanation = if self.running {
            explain::running(self.source.admin(self.admin)?, &question)?
        } else {
            let (config, _) = self.source.load()?;
            let who = Who {
                listener: self.listener.clone(),
                username: self.username.clone(),
                password: self.authenticate.then(password).transpose()?,
                attributes: self.attributes.clone(),
            };
            explain::configured(&config, &who, &question)?
        };
        match self.json {
            true => println!("{}", serde_json::to_string_pretty(&explanation)?),
            false => anstream::println!("{}", explain::Coloured(&explanation)),
        }
        Ok(explanation.allowed)
    }
}

/// From the terminal without an echo, else the first line of standard input.
fn password() -> anyhow::Result<Vec<u8>> {
    if std::io::stdin().is_terminal() {
        return Ok(rpassword::prompt_password("Password: ")?.into_bytes());
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("cannot read the password")?;
    Ok(line.trim_end_matches(['\r', '\n']).as_bytes().to_vec())
}

impl Source {
    /// Where the broker of this configuration answers questions.
    fn admin(&self, given: Option<SocketAddr>) -> anyhow::Result<SocketAddr> {
        match given {
            Some(given) => Ok(given),
            None => admin(&self.load()?.0),
        }
    }
}

fn admin(config: &Config) -> anyhow::Result<SocketAddr> {
    let admin = config.admin.as_ref();
    Ok(admin.context("the configuration has no [admin], so a running broker cannot be asked")?.bind)
}

/// Words for `reload`.
#[derive(clap::Args)]
pub(crate) struct Reload {
    #[command(flatten)]
    source: Source,
    /// Have the running broker try it, by its [admin], and say what it would do. Without it nothing is done: a broker
    /// reloads on SIGHUP, and when its files change.
    #[arg(long, required = true)]
    dry_run: bool,
    /// Where its [admin] is. Without it: where the configuration says.
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<SocketAddr>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Reload {
    /// Does what was asked; errors go to standard error.
    pub(crate) fn execute(&self) -> ExitCode {
        match self.rehearse() {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => DENIED.into(),
            Err(error) => {
                eprintln!("{error:#}");
                ERROR.into()
            }
        }
    }

    fn rehearse(&self) -> anyhow::Result<bool> {
        let rehearsal = match self.admin {
            Some(given) => reload::ask(given)?,
            // What cannot be read here, the broker cannot read either.
            None => match self.source.load() {
                Ok((config, _)) => reload::ask(admin(&config)?)?,
                Err(report) => Rehearsal::refused(report),
            },
        };
        match self.json {
            true => println!("{}", serde_json::to_string_pretty(&rehearsal)?),
            false => println!("{rehearsal}"),
        }
        Ok(rehearsal.refused.is_none())
    }
}
