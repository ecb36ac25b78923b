//! The broker's configuration: one TOML file, and what it includes.
//!
//! `file` reads, `check` builds the [`Config`], [`diff()`] says what a reload changes, [`print()`]
//! writes it back. Nothing here knows any other room: who needs a value converts it.
//!
//! - Every error is found at once, each with its file, line and column; an unknown key is an error and comes
//!   with the nearest known one.
//! - Sizes are `"512B"`, `"64KiB"`, `"1MiB"` (powers of 1024), `"64KB"`, `"1MB"` (powers of 1000), or plain
//!   bytes. Durations are `"5ms"`, `"30s"`, `"5m"`, `"24h"`, `"7d"`, or several: `"1m30s"`.
//! - `include = ["conf.d/*.toml"]`, above the first table, is relative to the file it stands in; `*` may
//!   stand in the last path component, where it does not match a leading dot, and what matches is read
//!   sorted by name. `[[listener]]` and `[[plugin]]` of all files are joined, the other tables unite, and a
//!   key that is set twice is an error. At most 8 files deep, 256 files and 16 MiB together, each file once.
//! - `${NAME}` in a string value is replaced by the environment variable, which must be set; `$${` stands
//!   for `${`. Inside `[plugin.config]`, where `${value}` belongs to the plugin, only `${env:NAME}` is
//!   replaced, and `$${env:` stands for `${env:`. Keys, and what a variable brought, are not looked at.
//! - A plugin's `path` is relative to the working directory; where no file is there, it is relative to the
//!   directory of the configuration file that names it.
//! - `{ file = "PATH" }` inside `[plugin.config]` is a file that the plugin is handed, looked for like its `path`:
//!   read with the configuration, UTF-8, and at most 16 MiB for one plugin. A change of it is a reason to reload.

mod check;
mod diff;
mod env;
mod file;
mod model;
pub(crate) mod pem;
mod print;
mod problem;
mod tree;
mod unit;

#[cfg(test)]
mod tests;

use std::{env::VarError, path::Path};

pub use self::{
    diff::{Change, Diff, Effect, diff, reload},
    model::{
        Admin, Auth, Bind, Broker, ClientCertificate, Config, DefaultAnswer, FailedLogins,
        Features, Flapping, Grants, Limits, Listener, Location, Log, LogFormat, LogLevel,
        NameSource, Network, OnDeniedPublish, OnDuplicate, OnFailure, OnPublishRate, Overflow,
        PemFile, Plugin, PluginFile, PluginLimits, Preset, Protocol, ProxyProtocol, Queue,
        Redirect, ServerCertificate, SharedStrategy, Tls, TlsVersion, UnknownName, Version,
        WebSocket,
    },
    print::print,
    problem::{Coloured, Problem, Report, Severity},
};

/// Reads a configuration: what it says, and what its author should be warned of.
///
/// # Errors
/// Everything that is wrong with it; nothing is built then.
pub fn load(path: &Path) -> Result<(Config, Vec<Problem>), Report> {
    check::check(file::read(path, &file::environment))
}

/// What is in force where there is no configuration, and what to warn of: as a file would that says as much.
pub fn built_in() -> (Config, Vec<Problem>) {
    let text = "[[listener]]\nname = \"mqtt\"\nbind = \"127.0.0.1:1883\"\n";
    let warnings =
        match parse(Path::new("(no configuration)"), text, &|_| Err(VarError::NotPresent)) {
            Ok((_, warnings)) => warnings,
            Err(report) => report.errors,
        };
    (Config::default(), warnings)
}

/// As [`load`], from a text that is not in a file: `path` is its name in messages, and includes and plugins
/// are looked for beside it. `env` answers what an environment variable holds.
///
/// # Errors
/// As [`load`].
pub fn parse(
    path: &Path,
    text: impl Into<String>,
    env: &dyn Fn(&str) -> Result<String, VarError>,
) -> Result<(Config, Vec<Problem>), Report> {
    check::check(file::parse(path, text.into(), env))
}
