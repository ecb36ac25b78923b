//! Admits everybody, with the right to publish and to subscribe to what its configuration names: permissions that the
//! broker evaluates itself, without asking again.
//!
//! ```toml
//! [plugin.config]
//! allow = ["bench/#"]     # filters
//! ```

use serde::Deserialize;
use wasmqtt_plugin::{
    Actions, Authentication, Connect, Failure, Identity, Outcome, Permission, Plugin, Registration,
    export,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    allow: Vec<String>,
}

struct Porter {
    config: Config,
}

impl Plugin for Porter {
    type Config = Config;

    fn init(config: Config) -> Result<(Self, Registration), String> {
        Ok((Self { config }, Registration::new()))
    }
}

impl Authentication for Porter {
    fn authenticate(&mut self, _: &Connect) -> Result<Outcome, Failure> {
        let mut identity = Identity::named("porter's");
        for filter in &self.config.allow {
            let both = Actions::PUBLISH | Actions::SUBSCRIBE;
            identity = identity.permission(Permission::allow(filter, both));
        }
        Ok(Outcome::accept(identity))
    }
}

export!(Porter: authentication);

#[cfg(test)]
mod tests {
    use super::*;
    use wasmqtt_plugin::test;

    #[test]
    fn whoever_comes_may_use_what_is_configured() {
        let (mut porter, _) = test::init::<Porter>(r#"{"allow": ["a/#", "b"]}"#).unwrap();
        let Outcome::Accept(identity) = porter.authenticate(&Connect::new("c")).unwrap() else {
            panic!("nobody is refused");
        };
        let filters: Vec<&str> = identity.permissions.iter().map(|p| p.filter.as_str()).collect();
        assert_eq!(filters, ["a/#", "b"]);
    }
}
