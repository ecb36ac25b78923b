//! Asks a running broker over its `[admin]`. Must not know what is asked.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How long it may take: a rehearsal compiles components.
const PATIENCE: Duration = Duration::from_secs(300);
/// Bytes of an answer.
const ANSWER_MAX: u64 = 16 << 20;

/// Puts a question, and reads the answer.
///
/// # Errors
/// When the broker does not answer, or says why not.
pub(crate) fn ask<A: DeserializeOwned>(
    admin: SocketAddr,
    path: &str,
    question: &impl Serialize,
) -> anyhow::Result<A> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .proxy(None)
        .build()
        .into();
    let body = serde_json::to_string(question)?;
    let asked = agent
        .post(format!("http://{admin}{path}"))
        .content_type("application/json")
        .send(body)
        .with_context(|| format!("cannot ask the broker at {admin}: does it run, with [admin]?"));
    let mut response = asked?;
    let status = response.status();
    let body = response.body_mut().with_config().limit(ANSWER_MAX).read_to_string()?;
    if !status.is_success() {
        bail!("the broker at {admin} says: {}", body.trim_end());
    }
    serde_json::from_str(&body).with_context(|| format!("{admin} does not answer as a broker does"))
}
