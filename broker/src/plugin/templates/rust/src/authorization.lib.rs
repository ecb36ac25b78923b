//! A client may do everything below `PREFIX/CLIENT ID/`. The next plugin is asked about the rest.

use serde::Deserialize;
use wasmqtt_plugin::*;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default = "clients")]
    prefix: String,
}

fn clients() -> String {
    "clients".to_owned()
}

struct OwnTopics {
    prefix: String,
}

impl Plugin for OwnTopics {
    type Config = Config;

    fn init(config: Config) -> Result<(Self, Registration), String> {
        let registration = Registration::new().authorize(Actions::PUBLISH | Actions::SUBSCRIBE);
        Ok((Self { prefix: config.prefix }, registration))
    }
}

impl OwnTopics {
    fn owns(&self, id: &str, topic: &str) -> bool {
        // A name that is a wildcard or has levels must not widen what it stands for.
        if id.is_empty() || id.contains(['+', '#', '/']) {
            return false;
        }
        let mut levels = topic.strip_prefix(&self.prefix).unwrap_or_default().splitn(3, '/');
        levels.next() == Some("") && levels.next() == Some(id) && levels.next().is_some()
    }
}

impl Authorization for OwnTopics {
    fn authorize(&mut self, client: &Client, request: &Request) -> Result<Decision, Failure> {
        match self.owns(&client.id, &request.topic) {
            true => Ok(Decision::allow()),
            false => Ok(Decision::abstain()),
        }
    }
}

export!(OwnTopics: authorization);
