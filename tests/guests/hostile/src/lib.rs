//! A plugin that misbehaves where and how its configuration says, so that tests can show that nobody else
//! is hurt. Where it is not told to misbehave it says yes: accept, allow, forward.
//!
//! ```toml
//! [plugin.config]
//! on = "publish"          # init | authenticate | authorize | publish | deliver
//! do = "trap"             # see `Deed`
//! when = "bad/"           # optional: only when the topic (authenticate: the client id) holds this
//! otherwise = "abstain"   # optional: abstain instead of accepting and allowing
//! topic = "elsewhere/x"   # optional: where "foreign-topic" moves messages
//! ```

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::Deserialize;
use wasmqtt_plugin::{
    Actions, Authentication, Authorization, Client, Connect, Decision, Failure, Identity, Message,
    Outcome, Plugin, Refusal, Registration, Request, Selector, Transformation, Verdict, clock,
    export, log,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hostile {
    #[serde(default)]
    on: Option<On>,
    #[serde(default, rename = "do")]
    deed: Option<Deed>,
    #[serde(default)]
    when: String,
    #[serde(default)]
    otherwise: Otherwise,
    #[serde(default = "elsewhere")]
    topic: String,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum On {
    Init,
    Authenticate,
    Authorize,
    Publish,
    Deliver,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Deed {
    /// Panics, which traps.
    Trap,
    /// Never returns.
    Loop,
    /// Takes memory until there is none.
    Allocate,
    /// Recurses until the stack is full.
    Recurse,
    /// Writes a million lines into the log.
    LogFlood,
    /// Asks the broker for the time ten million times.
    HostCallFlood,
    /// Publish, deliver: moves the message to `topic`.
    ForeignTopic,
    /// Publish, deliver: moves the message to a topic that no client could publish to.
    InvalidTopic,
    /// Publish, deliver: moves the message to a topic of 70,000 bytes.
    LongTopic,
    /// Waits for ten minutes to pass before it goes on.
    Block,
    /// Says yes and no in turn.
    Fickle,
    /// Publish, deliver: sets everything there is to set, then traps.
    SetThenTrap,
    /// Publish, deliver: sets everything there is to set, then rejects.
    SetThenReject,
    /// Publish, deliver: sets a payload of 64 MiB, or what of it there is memory for.
    HugePayload,
    /// Publish, deliver: adds a hundred thousand user properties.
    HugeProperties,
    /// Refuses, denies or rejects with 0x87 and the reason "hostile".
    Refuse,
    /// Refuses, denies or rejects with reason code 0, which means success.
    RefuseWithSuccess,
    /// Refuses with 0x9C, which sends elsewhere, without saying where (authenticate).
    SendAway,
    /// Publish, deliver: discards.
    Discard,
    /// Publish, deliver: rejects with 0x99.
    Reject,
    /// Could not decide, now.
    Fail,
    /// Could not decide, ever.
    FailForever,
    /// Answers abstain (authenticate, authorize).
    Abstain,
    /// Accepts under the name "somebody-else" (authenticate).
    Impersonate,
    /// Init: an error that is a mebibyte long.
    LongError,
    /// Init: registers filters that MQTT does not allow.
    GarbageRegistration,
    /// Init: registers a hundred thousand filters.
    HugeRegistration,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Default)]
#[serde(rename_all = "kebab-case")]
enum Otherwise {
    #[default]
    Allow,
    Abstain,
}

fn elsewhere() -> String {
    "elsewhere/x".to_owned()
}

impl Plugin for Hostile {
    type Config = Self;

    fn init(config: Self) -> Result<(Self, Registration), String> {
        let registration = Registration::new()
            .authorize(Actions::PUBLISH | Actions::SUBSCRIBE)
            .on_publish(Selector::all());
        let registration = match (config.on, config.deed) {
            (Some(On::Init), Some(Deed::Fail | Deed::FailForever | Deed::Refuse)) => {
                return Err("hostile: told to refuse its configuration".to_owned());
            }
            (Some(On::Init), Some(Deed::LongError)) => return Err("x".repeat(1 << 20)),
            (Some(On::Init), Some(Deed::GarbageRegistration)) => {
                registration.on_publish(Selector::filters(["a/#/b", "", "b+", "\0"]))
            }
            (Some(On::Init), Some(Deed::HugeRegistration)) => registration
                .on_publish(Selector::filters((0..100_000).map(|n| format!("hostile/{n}/+/x")))),
            (Some(On::Init), Some(deed)) => {
                burn(deed);
                registration
            }
            (Some(On::Deliver), _) => registration.on_deliver(Selector::all()),
            _ => registration,
        };
        Ok((config, registration))
    }
}

impl Authentication for Hostile {
    fn authenticate(&mut self, connect: &Connect) -> Result<Outcome, Failure> {
        let deed = self.deed_of(On::Authenticate, &connect.client_id);
        if let Some(deed) = deed {
            burn(deed);
        }
        match deed {
            Some(Deed::Refuse | Deed::Reject) => Ok(Outcome::refuse(not_authorized())),
            Some(Deed::Fickle) if is_odd() => Ok(Outcome::refuse(not_authorized())),
            Some(Deed::RefuseWithSuccess) => Ok(Outcome::refuse(Refusal::new(0))),
            Some(Deed::SendAway) => Ok(Outcome::refuse(Refusal::new(0x9C))),
            Some(Deed::Fail) => Err(Failure::transient("hostile")),
            Some(Deed::FailForever) => Err(Failure::permanent("hostile")),
            Some(Deed::Abstain) => Ok(Outcome::Abstain),
            Some(Deed::Impersonate) => Ok(Outcome::accept(Identity::named("somebody-else"))),
            _ if self.otherwise == Otherwise::Abstain => Ok(Outcome::Abstain),
            _ => Ok(Outcome::accept(Identity::new())),
        }
    }
}

impl Authorization for Hostile {
    fn authorize(&mut self, _: &Client, request: &Request) -> Result<Decision, Failure> {
        let deed = self.deed_of(On::Authorize, &request.topic);
        if let Some(deed) = deed {
            burn(deed);
        }
        match deed {
            Some(Deed::Refuse | Deed::Reject) => Ok(Decision::deny(not_authorized())),
            Some(Deed::Fickle) if is_odd() => Ok(Decision::deny(not_authorized())),
            Some(Deed::RefuseWithSuccess) => Ok(Decision::deny(Refusal::new(0))),
            Some(Deed::Fail) => Err(Failure::transient("hostile")),
            Some(Deed::FailForever) => Err(Failure::permanent("hostile")),
            Some(Deed::Abstain) => Ok(Decision::abstain()),
            _ if self.otherwise == Otherwise::Abstain => Ok(Decision::abstain()),
            _ => Ok(Decision::allow()),
        }
    }
}

impl Transformation for Hostile {
    fn on_publish(&mut self, message: &impl Message) -> Result<Verdict, Failure> {
        self.transform(On::Publish, message)
    }

    fn on_deliver(&mut self, _: &Client, message: &impl Message) -> Result<Verdict, Failure> {
        self.transform(On::Deliver, message)
    }
}

impl Hostile {
    fn deed_of(&self, hook: On, subject: &str) -> Option<Deed> {
        self.deed.filter(|_| self.on == Some(hook) && subject.contains(&self.when))
    }

    fn transform(&self, hook: On, message: &impl Message) -> Result<Verdict, Failure> {
        let Some(deed) = self.deed_of(hook, &message.topic()) else {
            return Ok(Verdict::Forward);
        };
        burn(deed);
        match deed {
            Deed::ForeignTopic => message.set_topic(&self.topic),
            Deed::InvalidTopic => message.set_topic("hostile/#"),
            Deed::LongTopic => message.set_topic(&"x".repeat(70_000)),
            Deed::Fickle if is_odd() => return Ok(Verdict::reject(not_authorized())),
            Deed::SetThenTrap => {
                self.set_everything(message);
                burn(Deed::Trap);
            }
            Deed::SetThenReject => {
                self.set_everything(message);
                return Ok(Verdict::reject(not_authorized()));
            }
            Deed::HugePayload => {
                let mut payload = vec![b'x'; 4 << 20];
                while payload.len() < 64 << 20 && payload.try_reserve_exact(4 << 20).is_ok() {
                    payload.resize(payload.len() + (4 << 20), b'x');
                }
                message.set_payload(&payload);
            }
            Deed::HugeProperties => {
                for n in 0..100_000 {
                    message.add_user_property("hostile", &n.to_string());
                }
            }
            Deed::Refuse => return Ok(Verdict::reject(not_authorized())),
            Deed::RefuseWithSuccess => return Ok(Verdict::reject(Refusal::new(0))),
            Deed::Discard => return Ok(Verdict::Discard),
            Deed::Reject => return Ok(Verdict::reject(Refusal::payload_format_invalid())),
            Deed::Fail => return Err(Failure::transient("hostile")),
            Deed::FailForever => return Err(Failure::permanent("hostile")),
            _ => {}
        }
        Ok(Verdict::Forward)
    }

    fn set_everything(&self, message: &impl Message) {
        message.set_topic(&self.topic);
        message.set_payload(b"hostile");
        message.set_retain(true);
        message.set_content_type(Some("text/hostile"));
        message.set_expiry(Some(1));
        message.set_user_property("hostile", "yes");
    }
}

fn not_authorized() -> Refusal {
    Refusal::not_authorized().reason("hostile")
}

/// The deeds that are the same wherever they are done.
fn burn(deed: Deed) {
    match deed {
        Deed::Trap => trap(),
        Deed::Loop => loop {
            black_box(());
        },
        Deed::Allocate => {
            let mut hoard: Vec<Vec<u8>> = Vec::new();
            loop {
                hoard.push(black_box(vec![1; 1 << 20]));
            }
        }
        Deed::Recurse => {
            black_box(recurse(0));
        }
        Deed::LogFlood => {
            for n in 0..1_000_000 {
                log::write(log::Level::Error, &format!("hostile line {n}"));
            }
        }
        Deed::Block => {
            let until = clock::now() + Duration::from_secs(600);
            while clock::now() < until {
                black_box(());
            }
        }
        Deed::HostCallFlood => {
            for _ in 0..10_000_000 {
                black_box(clock::now());
            }
        }
        _ => {}
    }
}

/// Whether it was asked an odd number of times.
fn is_odd() -> bool {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    ASKED.fetch_add(1, Ordering::Relaxed) % 2 == 1
}

#[allow(clippy::panic)]
fn trap() {
    panic!("hostile: told to trap");
}

#[allow(unconditional_recursion)]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 16]);
    recurse(depth + 1) + black_box(frame).iter().sum::<u64>()
}

export!(Hostile: authentication, authorization, transformation);

#[cfg(test)]
mod tests {
    use super::*;
    use wasmqtt_plugin::test;

    #[test]
    fn it_misbehaves_only_where_it_is_told_to() {
        let config = r#"{"on": "publish", "do": "discard", "when": "bad/"}"#;
        let (mut hostile, _) = test::init::<Hostile>(config).unwrap();
        assert_eq!(hostile.on_publish(&test::Message::new("bad/x", "")), Ok(Verdict::Discard));
        assert_eq!(hostile.on_publish(&test::Message::new("good/x", "")), Ok(Verdict::Forward));
        let client = Client::new(1, "c", None);
        assert_eq!(
            hostile.on_deliver(&client, &test::Message::new("bad/x", "")),
            Ok(Verdict::Forward)
        );
        let allowed = hostile.authorize(&client, &Request::publish("bad/x"));
        assert_eq!(allowed, Ok(Decision::allow()));
    }

    #[test]
    #[should_panic(expected = "told to trap")]
    fn a_trap_is_a_panic() {
        let config = r#"{"on": "authorize", "do": "trap"}"#;
        let (mut hostile, _) = test::init::<Hostile>(config).unwrap();
        let _ = hostile.authorize(&Client::new(1, "c", None), &Request::publish("x"));
    }
}
