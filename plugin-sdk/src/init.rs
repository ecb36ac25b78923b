//! From the operator's configuration to a plugin, with errors that the operator can act on.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::Registration;

/// What every plugin implements.
pub trait Plugin: Sized + 'static {
    /// The plugin's table `[plugin.config]`. Derive `serde::Deserialize` with
    /// `#[serde(deny_unknown_fields)]`, so that a misspelt key is an error and not an open door.
    type Config: DeserializeOwned;

    /// Called once for each instance, before any hook. The broker keeps several instances, which see
    /// nothing of each other: whatever a plugin remembers, it remembers for one of them, and every one must
    /// register for the same.
    ///
    /// # Errors
    /// A text for the operator: what is wrong in the configuration and what to do. The plugin is then not
    /// loaded, and what ran before goes on.
    fn init(config: Self::Config) -> Result<(Self, Registration), String>;
}

/// The configuration of a plugin that has nothing to configure. Any key is an error.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// Reads `config` and makes the plugin. Without `[plugin.config]` the configuration is an empty table.
pub(crate) fn init<P: Plugin>(config: &str) -> Result<(P, Registration), String> {
    let config = if config.trim().is_empty() { "{}" } else { config };
    let mut deserializer = serde_json::Deserializer::from_str(config);
    let parsed = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let message = without_position(error.inner());
        if path == "." { message } else { format!("{path}: {message}") }
    })?;
    deserializer.end().map_err(|error| without_position(&error))?;
    P::init(parsed)
}

/// The error without line and column, which count in a JSON text that no operator wrote.
fn without_position(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    message.strip_suffix(&position).unwrap_or(&message).to_owned()
}
