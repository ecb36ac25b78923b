//! Authentication: JSON Web Tokens, in the password field or as the data of an MQTT 5 authentication method. What
//! an operator can configure is in `README.md`.

mod keys;
mod token;

use std::collections::BTreeMap;
use std::time::Duration;

use keys::{Key, KeyConfig};
use serde::Deserialize;
use serde_json::Value;
use token::{Claims, Demands};
use wasmqtt_plugin::{
    Actions, Authentication, Connect, Effect, EnhancedAuthentication, Failure, Identity, Outcome,
    Permission, Plugin, Qos, Refusal, Registration, Step, clock, export,
};

/// Permissions that one token may bring.
const MAX_PERMISSIONS: usize = 256;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Read one by one, so that an error can say which key it is in.
    keys: Vec<Value>,
    #[serde(default)]
    issuer: OneOrMore,
    #[serde(default)]
    audience: OneOrMore,
    #[serde(default = "a_minute")]
    leeway: u32,
    #[serde(default = "yes")]
    require_expiry: bool,
    #[serde(default = "yes")]
    password: bool,
    #[serde(default)]
    methods: Vec<String>,
    #[serde(default = "subject")]
    name: String,
    #[serde(default)]
    match_username: bool,
    client_id: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    #[serde(default)]
    permissions: Vec<Value>,
}

#[derive(Deserialize, Default)]
#[serde(untagged, expecting = "expected a text or a list of texts")]
enum OneOrMore {
    #[default]
    None,
    One(String),
    More(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PermissionConfig {
    effect: EffectWord,
    filter: Option<String>,
    /// A claim that holds a filter, or a list of filters.
    claim: Option<String>,
    actions: Vec<ActionWord>,
    max_qos: Option<u8>,
    retain: Option<bool>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum EffectWord {
    Allow,
    Deny,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum ActionWord {
    Publish,
    Subscribe,
    Receive,
}

fn a_minute() -> u32 {
    60
}

fn yes() -> bool {
    true
}

fn subject() -> String {
    "sub".to_owned()
}

enum Filters {
    Written(String),
    Claim(String),
}

struct Grant {
    filters: Filters,
    /// Its filter is filled in.
    model: Permission,
}

struct Jwt {
    keys: Vec<Key>,
    demands: Demands,
    password: bool,
    methods: Vec<String>,
    name: String,
    match_username: bool,
    client_id: Option<String>,
    attributes: BTreeMap<String, String>,
    grants: Vec<Grant>,
}

impl Plugin for Jwt {
    type Config = Config;

    fn init(config: Config) -> Result<(Self, Registration), String> {
        let mut keys = Vec::new();
        for (index, key) in config.keys.into_iter().enumerate() {
            serde_json::from_value(key)
                .map_err(|error| error.to_string())
                .and_then(|key: KeyConfig| keys::read(key, &mut keys))
                .map_err(|error| format!("keys[{index}]: {error}"))?;
        }
        if keys.is_empty() {
            return Err("keys: is empty, so no token could be trusted; write for example \
                 keys = [{ pem = { file = \"idp.pem\" } }]"
                .to_owned());
        }
        if !config.password && config.methods.is_empty() {
            return Err(
                "methods: name one where password = false; tokens come in either".to_owned()
            );
        }
        let mut grants = Vec::new();
        for (index, permission) in config.permissions.into_iter().enumerate() {
            let grant = serde_json::from_value(permission)
                .map_err(|error| error.to_string())
                .and_then(Grant::build)
                .map_err(|error| format!("permissions[{index}]: {error}"))?;
            grants.push(grant);
        }
        let demands = Demands {
            issuers: config.issuer.list("issuer")?,
            audiences: config.audience.list("audience")?,
            leeway: config.leeway.into(),
            expiry: config.require_expiry,
        };
        let jwt = Self {
            keys,
            demands,
            password: config.password,
            methods: config.methods,
            name: config.name,
            match_username: config.match_username,
            client_id: config.client_id,
            attributes: config.attributes,
            grants,
        };
        Ok((jwt, Registration::new()))
    }
}

impl OneOrMore {
    fn list(self, key: &str) -> Result<Vec<String>, String> {
        match self {
            Self::None => Ok(Vec::new()),
            Self::One(text) => Ok(vec![text]),
            Self::More(texts) if texts.is_empty() => {
                Err(format!("{key}: is empty; leave it out when any will do"))
            }
            Self::More(texts) => Ok(texts),
        }
    }
}

impl Grant {
    fn build(config: PermissionConfig) -> Result<Self, String> {
        let filters = match (config.filter, config.claim) {
            (Some(filter), None) => Filters::Written(filter),
            (None, Some(claim)) => Filters::Claim(claim),
            _ => return Err("write either filter or claim".to_owned()),
        };
        let actions = config.actions.iter().fold(Actions::empty(), |all, action| {
            all | match action {
                ActionWord::Publish => Actions::PUBLISH,
                ActionWord::Subscribe => Actions::SUBSCRIBE,
                ActionWord::Receive => Actions::RECEIVE,
            }
        });
        if actions.is_empty() {
            return Err("actions: is empty, so it would permit nothing".to_owned());
        }
        let max_qos = match config.max_qos {
            None => None,
            Some(0) => Some(Qos::AtMostOnce),
            Some(1) => Some(Qos::AtLeastOnce),
            Some(2) => Some(Qos::ExactlyOnce),
            Some(other) => return Err(format!("max_qos: {other} is no QoS; use 0, 1 or 2")),
        };
        let effect = match config.effect {
            EffectWord::Allow => Effect::Allow,
            EffectWord::Deny => Effect::Deny,
        };
        let model =
            Permission { effect, filter: String::new(), actions, max_qos, retain: config.retain };
        Ok(Self { filters, model })
    }

    fn permissions(&self, claims: &Claims) -> Result<Vec<Permission>, &'static str> {
        let of = |filter: &str| Permission { filter: filter.to_owned(), ..self.model.clone() };
        let path = match &self.filters {
            Filters::Written(filter) => return Ok(vec![of(filter)]),
            Filters::Claim(path) => path,
        };
        let wrong = "a claim for permissions holds no filters";
        match token::claim(claims, path) {
            // A denial that cannot be read must not be lost.
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::String(filter)) => Ok(vec![of(filter)]),
            Some(Value::Array(filters)) => {
                filters.iter().map(|filter| filter.as_str().map(of).ok_or(wrong)).collect()
            }
            Some(_) => Err(wrong),
        }
    }
}

impl Jwt {
    /// Who the token says the client is.
    fn identify(&self, connect: &Connect, token: &str) -> Result<Identity, &'static str> {
        let claims = token::verify(token, &self.keys)?;
        let expires_in = self.demands.check(&claims, clock::now().as_secs())?;
        let name = token::claim(&claims, &self.name).and_then(Value::as_str).unwrap_or_default();
        if name.is_empty() || name.contains(char::is_control) {
            return Err("it does not say the client's name");
        }
        if self.match_username && connect.username.as_deref() != Some(name) {
            return Err("it is of another user");
        }
        if let Some(path) = &self.client_id
            && token::claim(&claims, path).and_then(Value::as_str) != Some(&connect.client_id)
        {
            return Err("it is for another client identifier");
        }
        let mut identity = Identity::named(name);
        for (attribute, path) in &self.attributes {
            if let Some(value) = token::claim(&claims, path).and_then(token::text) {
                identity = identity.attribute(attribute, value);
            }
        }
        for grant in &self.grants {
            identity.permissions.extend(grant.permissions(&claims)?);
            if identity.permissions.len() > MAX_PERMISSIONS {
                return Err("it brings more than 256 permissions");
            }
        }
        if let Some(seconds) = expires_in {
            identity = identity.expires_in(Duration::from_secs(seconds));
        }
        Ok(identity)
    }
}

impl Authentication for Jwt {
    fn authenticate(&mut self, connect: &Connect) -> Result<Outcome, Failure> {
        let password =
            connect.password.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok());
        let Some(token) = password.filter(|text| self.password && token::looks_like_one(text))
        else {
            return Ok(Outcome::Abstain);
        };
        Ok(match self.identify(connect, token) {
            Ok(identity) => Outcome::accept(identity),
            Err(why) => Outcome::refuse(
                Refusal::bad_user_name_or_password().reason(format!("token: {why}")),
            ),
        })
    }
}

impl EnhancedAuthentication for Jwt {
    fn methods(&self) -> Vec<String> {
        self.methods.clone()
    }

    fn begin(&mut self, connect: &Connect, _method: &str, data: &[u8]) -> Result<Step, Failure> {
        let token = std::str::from_utf8(data).unwrap_or_default();
        Ok(match self.identify(connect, token) {
            Ok(identity) => Step::accept(identity),
            Err(why) => Step::refuse(Refusal::not_authorized().reason(format!("token: {why}"))),
        })
    }

    fn proceed(
        &mut self,
        _connect: &Connect,
        _method: &str,
        _data: &[u8],
        _state: &[u8],
    ) -> Result<Step, Failure> {
        // There is no challenge that could be answered.
        Ok(Step::refuse(Refusal::not_authorized().reason("token: it comes with the first packet")))
    }
}

export!(Jwt: authentication, enhanced_authentication);

#[cfg(test)]
mod tests;
