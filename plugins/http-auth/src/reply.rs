//! What the web service says. Anything that is not clearly a yes or a no is a failure, which the operator's `on_failure`
//! answers.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use wasmqtt_plugin::http::Response;
use wasmqtt_plugin::{Actions, Identity, Permission, Qos};

/// Permissions that one reply may bring.
const MAX_PERMISSIONS: usize = 256;
/// What is repeated of a reply in an error, in characters.
const EXCERPT: usize = 100;

/// What was decided.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    Allow(Box<Identity>),
    Deny(Option<String>),
    /// The next plugin is to be asked.
    Ignore,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    decision: Decision,
    client_authentication_name: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, Value>,
    /// Unix time, in seconds; some write it as a text.
    expiration: Option<Value>,
    error_reason: Option<String>,
    #[serde(default)]
    permissions: Vec<PermissionBody>,
    #[serde(default)]
    user_properties: Vec<Property>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Decision {
    Allow,
    Deny,
    Ignore,
}

/// A mistake here would give other rights than were meant.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PermissionBody {
    effect: EffectWord,
    filter: String,
    actions: Vec<ActionWord>,
    max_qos: Option<u8>,
    retain: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum EffectWord {
    Allow,
    Deny,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum ActionWord {
    Publish,
    Subscribe,
    Receive,
}

#[derive(Deserialize)]
struct Property {
    name: String,
    value: String,
}

/// `now` in seconds since 1970.
pub(super) fn read(reply: &Response, now: u64) -> Result<Said, String> {
    // A no may come with 400, as the shape has it; everything else is no answer at all.
    if !matches!(reply.status, 200 | 400) {
        return Err(format!("the web service answered with status {}", reply.status));
    }
    let wrong =
        |why: &str| format!("the web service answered with status {}, but {why}", reply.status);
    let body: Body = serde_json::from_slice(&reply.body)
        .map_err(|error| wrong(&format!("not as it should: {error}, in {:?}", excerpt(reply))))?;
    match (body.decision, reply.status) {
        (Decision::Deny, _) => Ok(Said::Deny(body.error_reason)),
        (Decision::Ignore, _) => Ok(Said::Ignore),
        (Decision::Allow, 200) => identity(body, now).map_err(|why| wrong(&why)),
        (Decision::Allow, _) => Err(wrong("allows")),
    }
}

fn identity(body: Body, now: u64) -> Result<Said, String> {
    let mut identity = match body.client_authentication_name {
        Some(name) if name.is_empty() => return Err("clientAuthenticationName is empty".into()),
        Some(name) => Identity::named(name),
        None => Identity::new(),
    };
    for (name, value) in body.attributes {
        let value = match value {
            Value::String(text) => text,
            Value::Null => continue,
            // As the tokens' claims: a number as it is written, a list as JSON.
            other => other.to_string(),
        };
        identity = identity.attribute(name, value);
    }
    if body.permissions.len() > MAX_PERMISSIONS {
        return Err(format!("it brings more than {MAX_PERMISSIONS} permissions"));
    }
    for permission in body.permissions {
        identity = identity.permission(build(permission)?);
    }
    for Property { name, value } in body.user_properties {
        identity = identity.connack_property(name, value);
    }
    let expiration = match body.expiration {
        None | Some(Value::Null) => return Ok(Said::Allow(Box::new(identity))),
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::String(text)) => text.parse().ok(),
        Some(_) => None,
    };
    let expiration = expiration.ok_or("expiration is no time in seconds since 1970")?;
    match expiration.checked_sub(now) {
        None | Some(0) => Ok(Said::Deny(Some("what it shows has expired".to_owned()))),
        Some(left) => Ok(Said::Allow(Box::new(identity.expires_in(Duration::from_secs(left))))),
    }
}

fn build(permission: PermissionBody) -> Result<Permission, String> {
    let actions = permission.actions.iter().fold(Actions::empty(), |all, action| {
        all | match action {
            ActionWord::Publish => Actions::PUBLISH,
            ActionWord::Subscribe => Actions::SUBSCRIBE,
            ActionWord::Receive => Actions::RECEIVE,
        }
    });
    if actions.is_empty() {
        return Err("a permission has no actions".to_owned());
    }
    let built = match permission.effect {
        EffectWord::Allow => Permission::allow(permission.filter, actions),
        EffectWord::Deny => Permission::deny(permission.filter, actions),
    };
    let built = match permission.max_qos {
        None => built,
        Some(0) => built.max_qos(Qos::AtMostOnce),
        Some(1) => built.max_qos(Qos::AtLeastOnce),
        Some(2) => built.max_qos(Qos::ExactlyOnce),
        Some(other) => return Err(format!("maxQos {other} is no QoS")),
    };
    Ok(match permission.retain {
        None => built,
        Some(retain) => built.retain(retain),
    })
}

fn excerpt(reply: &Response) -> String {
    String::from_utf8_lossy(&reply.body).chars().take(EXCERPT).collect()
}
