//! A plugin that publishes when it is called, so that tests can see that it was, and what becomes of messages that no
//! client sent. Every message it is asked about gets the user property `origin`, as in `plugin/none`.
//!
//! ```toml
//! [plugin.config]
//! on = ["publish"]        # the calls it publishes in: init, authenticate, authorize, publish, deliver, tick, events
//! filters = ["in/#"]      # of the messages it wants; none: no message
//! topic = "out/x"         # where it publishes
//! qos = 1                 # at which QoS; default 0
//! retain = true           # default false
//! copies = 3              # how many messages each time; default 1
//! size = 1000             # bytes of the payload, filled up with dots; default: as it comes
//! tick = 50               # milliseconds; default none
//! trap = "bad"            # traps at an event of a client with this in its identifier
//! loop = "bad"            # never returns then
//! ```
//!
//! Whatever publishing fails with goes to the log.

use std::time::Duration;

use serde::Deserialize;
use wasmqtt_plugin::{
    Actions, Authentication, Authorization, Client, Connect, Decision, Event, EventKind, Failure,
    Message, Observation, Origin, Outcome, Plugin, Publication, Qos, Registration, Request,
    Selector, Transformation, Verdict, export, publisher, warn,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Herald {
    on: Vec<On>,
    #[serde(default)]
    filters: Vec<String>,
    topic: String,
    #[serde(default)]
    qos: u8,
    #[serde(default)]
    retain: bool,
    #[serde(default = "one")]
    copies: u32,
    #[serde(default)]
    size: usize,
    #[serde(default)]
    tick: u64,
    #[serde(default)]
    trap: Option<String>,
    #[serde(default, rename = "loop")]
    endless: Option<String>,
    #[serde(skip)]
    ticks: u64,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum On {
    Init,
    Authenticate,
    Authorize,
    Publish,
    Deliver,
    Tick,
    Events,
}

fn one() -> u32 {
    1
}

impl Plugin for Herald {
    type Config = Self;

    fn init(config: Self) -> Result<(Self, Registration), String> {
        let mut registration = Registration::new().tick_every(Duration::from_millis(config.tick));
        if !config.filters.is_empty() {
            registration = registration.on_publish(Selector::filters(&config.filters));
            if config.on.contains(&On::Deliver) {
                registration = registration.on_deliver(Selector::filters(&config.filters));
            }
        }
        if config.on.contains(&On::Authorize) {
            registration = registration.authorize(Actions::PUBLISH | Actions::SUBSCRIBE);
        }
        if config.on.contains(&On::Events) {
            registration = registration.events(EventKind::ALL);
        }
        config.publish(On::Init, "init");
        Ok((config, registration))
    }
}

impl Authentication for Herald {
    fn authenticate(&mut self, connect: &Connect) -> Result<Outcome, Failure> {
        self.publish(On::Authenticate, &format!("authenticate {}", connect.client_id));
        Ok(Outcome::Abstain)
    }
}

impl Authorization for Herald {
    fn authorize(&mut self, client: &Client, request: &Request) -> Result<Decision, Failure> {
        self.publish(On::Authorize, &format!("authorize {} {}", client.id, request.topic));
        Ok(Decision::abstain())
    }
}

impl Transformation for Herald {
    fn on_publish(&mut self, message: &impl Message) -> Result<Verdict, Failure> {
        let publisher = message.publisher().map_or("none".to_owned(), |client| client.id);
        let origin = match message.origin() {
            Origin::Client => "client",
            Origin::Will => "will",
            Origin::Plugin => "plugin",
            _ => "other",
        };
        message.add_user_property("origin", &format!("{origin}/{publisher}"));
        self.publish(On::Publish, &format!("publish {}", message.topic()));
        Ok(Verdict::Forward)
    }

    fn on_deliver(
        &mut self,
        subscriber: &Client,
        message: &impl Message,
    ) -> Result<Verdict, Failure> {
        self.publish(On::Deliver, &format!("deliver {} {}", subscriber.id, message.topic()));
        Ok(Verdict::Forward)
    }
}

impl Observation for Herald {
    fn on_events(&mut self, events: &[Event], lost: u64) {
        if lost > 0 {
            self.publish(On::Events, &format!("lost {lost}"));
        }
        for event in events {
            let id = event.client_id.as_deref().unwrap_or_default();
            if self.trap.as_deref().is_some_and(|bad| id.contains(bad)) {
                std::process::abort();
            }
            if self.endless.as_deref().is_some_and(|bad| id.contains(bad)) {
                loop {
                    std::hint::black_box(());
                }
            }
            let plugin = event.plugin.as_deref();
            let topic = event.topic.as_deref().or(plugin).unwrap_or_default();
            let code = event.code.map_or(String::new(), |code| format!("{code:#04x}"));
            self.publish(On::Events, &format!("{} {id} {topic} {code}", event.kind.as_str()));
        }
    }

    fn tick(&mut self) {
        self.ticks += 1;
        self.publish(On::Tick, &format!("tick {}", self.ticks));
    }
}

impl Herald {
    fn publish(&self, on: On, text: &str) {
        if !self.on.contains(&on) {
            return;
        }
        let mut payload = text.as_bytes().to_owned();
        payload.resize(payload.len().max(self.size), b'.');
        let publication = Publication {
            qos: match self.qos {
                0 => Qos::AtMostOnce,
                1 => Qos::AtLeastOnce,
                _ => Qos::ExactlyOnce,
            },
            retain: self.retain,
            ..Publication::new(self.topic.as_str(), payload)
                .content_type("text/plain")
                .user_property("from", "herald")
        };
        for _ in 0..self.copies {
            if let Err(error) = publisher::publish(&publication) {
                warn!("{error}");
            }
        }
    }
}

export!(Herald: authentication, authorization, transformation, observation);
