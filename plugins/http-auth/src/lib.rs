//! Authentication: a web service says who a client is. What an operator can configure is in `README.md`.

mod reply;
mod request;

use std::collections::BTreeMap;
use std::time::Duration;

use reply::Said;
use serde::Deserialize;
use wasmqtt_plugin::http;
use wasmqtt_plugin::{
    Authentication, Connect, EnhancedAuthentication, Failure, Outcome, Plugin, Refusal,
    Registration, Step, Text, clock, export,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, Text>,
    timeout_ms: Option<u64>,
    #[serde(default = "yes")]
    password: bool,
    #[serde(default)]
    methods: Vec<String>,
}

fn yes() -> bool {
    true
}

struct HttpAuth {
    /// Without a body.
    question: http::Request,
    password: bool,
    methods: Vec<String>,
}

impl Plugin for HttpAuth {
    type Config = Config;

    fn init(config: Config) -> Result<(Self, Registration), String> {
        if !config.url.starts_with("http://") && !config.url.starts_with("https://") {
            return Err("url: must begin with http:// or https://".to_owned());
        }
        if !config.password && config.methods.is_empty() {
            return Err("methods: name one where password = false; nobody would be asked about \
                        otherwise"
                .to_owned());
        }
        if config.timeout_ms == Some(0) {
            return Err("timeout_ms: must be at least 1".to_owned());
        }
        let mut question =
            http::Request::post(config.url, "").header("Content-Type", "application/json");
        for (name, value) in &config.headers {
            // The line end at the end of a file is not meant.
            question = question.header(name, value.as_str().trim_end_matches(['\r', '\n']));
        }
        if let Some(timeout) = config.timeout_ms {
            question = question.timeout(Duration::from_millis(timeout));
        }
        let plugin = Self { question, password: config.password, methods: config.methods };
        Ok((plugin, Registration::new()))
    }
}

impl HttpAuth {
    fn ask(&self, connect: &Connect, enhanced: Option<(&str, &[u8])>) -> Result<Said, Failure> {
        let body = request::body(connect, enhanced).map_err(Failure::permanent)?;
        let question = http::Request { body, ..self.question.clone() };
        let reply = http::send(&question).map_err(Failure::transient)?;
        reply::read(&reply, clock::now().as_secs()).map_err(Failure::transient)
    }
}

fn refusal(reason: Option<String>) -> Refusal {
    let refusal = Refusal::not_authorized();
    match reason {
        Some(reason) => refusal.reason(reason),
        None => refusal,
    }
}

impl Authentication for HttpAuth {
    fn authenticate(&mut self, connect: &Connect) -> Result<Outcome, Failure> {
        if !self.password {
            return Ok(Outcome::Abstain);
        }
        Ok(match self.ask(connect, None)? {
            Said::Allow(identity) => Outcome::accept(*identity),
            Said::Deny(reason) => Outcome::refuse(refusal(reason)),
            Said::Ignore => Outcome::Abstain,
        })
    }
}

impl EnhancedAuthentication for HttpAuth {
    fn methods(&self) -> Vec<String> {
        self.methods.clone()
    }

    fn begin(&mut self, connect: &Connect, method: &str, data: &[u8]) -> Result<Step, Failure> {
        Ok(match self.ask(connect, Some((method, data)))? {
            Said::Allow(identity) => Step::accept(*identity),
            Said::Deny(reason) => Step::refuse(refusal(reason)),
            Said::Ignore => Step::refuse(refusal(None)),
        })
    }

    fn proceed(&mut self, _: &Connect, _: &str, _: &[u8], _: &[u8]) -> Result<Step, Failure> {
        // There is no challenge that could be answered.
        Ok(Step::refuse(refusal(None)))
    }
}

export!(HttpAuth: authentication, enhanced_authentication);

#[cfg(test)]
mod tests;
