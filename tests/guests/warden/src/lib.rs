//! Judges clients as its configuration and messages to `control/...` tell it, says in the log what it was asked, and
//! revokes rights when told to. Each instance knows only what it was told itself.
//!
//! ```toml
//! [plugin.config]
//! reuse_ms = 60000        # optional: of every answer
//! deny = ["secret/#"]     # optional: topics and filters that nobody may use, each as it is written
//! deny_group = "thieves"  # optional: a share group that nobody may join
//! ```
//!
//! | topic | payload | what it does |
//! |---|---|---|
//! | `control/block/ID` | the beginning of topics | denies them to the client with this identifier from now on |
//! | `control/revoke/client-id/ID`, `control/revoke/username/NAME`, `control/revoke/everyone` | | revokes |
//! | `control/disconnect/ID` | a reason | disconnects, or rejects the message where there is no such client |
//!
//! As an authenticator it lets everybody in who sends a name, and lets them publish to and subscribe to
//! `native/${client_id}/#` by native permissions.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;
use wasmqtt_plugin::revocation::{self, Subject};
use wasmqtt_plugin::{
    Actions, Authentication, Authorization, Client, Connect, Decision, Failure, Identity, Message,
    Outcome, Permission, Plugin, Refusal, Registration, Request, Selector, Transformation, Verdict,
    export, info,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    reuse_ms: u64,
    #[serde(default)]
    deny: Vec<String>,
    #[serde(default)]
    deny_group: String,
}

struct Warden {
    config: Config,
    /// By client identifier: how topics begin that it may not use.
    blocked: HashMap<String, String>,
}

impl Plugin for Warden {
    type Config = Config;

    fn init(config: Config) -> Result<(Self, Registration), String> {
        let registration = Registration::new()
            .authorize(Actions::PUBLISH | Actions::SUBSCRIBE)
            .on_publish(Selector::filter("control/#"));
        Ok((Self { config, blocked: HashMap::new() }, registration))
    }
}

impl Authentication for Warden {
    fn authenticate(&mut self, _: &Connect) -> Result<Outcome, Failure> {
        let own = Permission::allow("native/${client_id}/#", Actions::PUBLISH | Actions::SUBSCRIBE);
        Ok(Outcome::accept(Identity::new().permission(own)))
    }
}

impl Authorization for Warden {
    fn authorize(&mut self, client: &Client, request: &Request) -> Result<Decision, Failure> {
        let Request { action, topic, share_group, .. } = request;
        let group = share_group.as_deref().unwrap_or("-");
        info!("asked: {action:?} {topic} of {} in group {group}", client.id);
        let blocked = self.blocked.get(&client.id).is_some_and(|start| topic.starts_with(start));
        let denied = blocked
            || self.config.deny.iter().any(|denied| denied == topic)
            || share_group.as_deref() == Some(&self.config.deny_group);
        let decision = match denied {
            true => Decision::deny(Refusal::not_authorized().reason("the warden says no")),
            false => Decision::allow(),
        };
        Ok(decision.reuse_for(Duration::from_millis(self.config.reuse_ms)))
    }
}

impl Transformation for Warden {
    fn on_publish(&mut self, message: &impl Message) -> Result<Verdict, Failure> {
        let topic = message.topic();
        let payload = String::from_utf8_lossy(&message.payload()).into_owned();
        match topic.split('/').collect::<Vec<_>>().as_slice() {
            [_, "block", id] => {
                self.blocked.insert((*id).to_owned(), payload);
            }
            [_, "revoke", "everyone"] => revocation::revoke(Subject::Everyone),
            [_, "revoke", "client-id", id] => {
                revocation::revoke(Subject::ClientId((*id).to_owned()))
            }
            [_, "revoke", "username", name] => {
                revocation::revoke(Subject::Username((*name).to_owned()));
            }
            [_, "disconnect", id] => {
                // Administrative action.
                if !revocation::disconnect(id, 0x98, Some(&payload)) {
                    return Ok(Verdict::reject(Refusal::not_authorized()));
                }
            }
            _ => return Err(Failure::permanent("no such command")),
        }
        Ok(Verdict::Discard)
    }
}

export!(Warden: authentication, authorization, transformation);

#[cfg(test)]
mod tests {
    use super::*;
    use wasmqtt_plugin::test;

    #[test]
    fn it_does_what_it_is_told() {
        let (mut warden, _) = test::init::<Warden>(r#"{"deny": ["no"]}"#).unwrap();
        let client = Client::new(1, "c", None);
        let may = |warden: &mut Warden, topic: &str| {
            warden.authorize(&client, &Request::publish(topic)).unwrap() == Decision::allow()
        };
        assert!(may(&mut warden, "a/b") && !may(&mut warden, "no"));
        let mut told = |topic: &str, payload: &str| {
            warden.on_publish(&test::Message::new(topic, payload)).unwrap()
        };
        assert_eq!(told("control/block/c", "a/"), Verdict::Discard);
        told("control/revoke/username/alice", "");
        test::set_connected(["c"]);
        assert_eq!(told("control/disconnect/c", "bye"), Verdict::Discard);
        assert_ne!(told("control/disconnect/c", "bye"), Verdict::Discard);
        assert!(!may(&mut warden, "a/b"));
        assert_eq!(test::take_revoked(), [Subject::Username("alice".into())]);
        assert_eq!(test::take_disconnected(), [("c".to_owned(), 0x98, Some("bye".to_owned()))]);
    }
}
