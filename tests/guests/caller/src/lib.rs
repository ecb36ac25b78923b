//! Asks a web service whenever it is called, and does what that says: `GET URL/HOOK/CLIENT/TOPIC`, percent-encoded, where
//! HOOK is `authenticate`, `publish`, `subscribe`, `receive`, `will`, `transform` or `deliver`. An empty part is `-`.
//!
//! | status | authenticate, authorize | transform |
//! |---|---|---|
//! | 200 | accepts, allows | forwards with the body of the reply as payload |
//! | 204 | abstains | forwards |
//! | anything else | refuses, denies, with the body as reason | rejects |
//!
//! No reply is a failure.
//!
//! ```toml
//! [plugin.config]
//! url = "http://127.0.0.1:8080/x"
//! authorize = ["publish"] # optional: the actions it judges
//! filters = ["in/#"]      # optional: the publications it wants
//! deliver = ["in/#"]      # optional: the deliveries it wants
//! reuse_ms = 60000        # optional: of every decision
//! method = "POST"         # optional
//! body = 1000             # optional: bytes of a body
//! headers = { x = "y" }   # optional
//! timeout_ms = 100        # optional
//! times = 3               # optional: asks so often, and takes the last reply
//! in_init = true          # optional: asks in init, too, and refuses the load where that fails
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use wasmqtt_plugin::http::{self, Response};
use wasmqtt_plugin::{
    Action, Actions, Authentication, Authorization, Client, Connect, Decision, Failure, Identity,
    Message, Outcome, Plugin, Refusal, Registration, Request, Selector, Transformation, Verdict,
    export,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Caller {
    url: String,
    #[serde(default)]
    authorize: Vec<String>,
    #[serde(default)]
    filters: Vec<String>,
    #[serde(default)]
    deliver: Vec<String>,
    #[serde(default)]
    reuse_ms: u64,
    #[serde(default = "get")]
    method: String,
    #[serde(default)]
    body: usize,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    timeout_ms: Option<u64>,
    #[serde(default = "once")]
    times: u32,
    #[serde(default)]
    in_init: bool,
}

fn get() -> String {
    "GET".to_owned()
}

fn once() -> u32 {
    1
}

impl Caller {
    fn ask(&self, hook: &str, client: &str, topic: &str) -> Result<Response, Failure> {
        let mut url = self.url.clone();
        for part in [hook, client, topic] {
            let part = if part.is_empty() { "-" } else { part };
            url.push('/');
            for byte in part.bytes() {
                match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => url.push(byte.into()),
                    _ => url.push_str(&format!("%{byte:02x}")),
                }
            }
        }
        let mut request = http::Request::new(&self.method, url);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(timeout) = self.timeout_ms {
            request = request.timeout(Duration::from_millis(timeout));
        }
        request.body = vec![b'x'; self.body];
        let mut reply = Err(String::new());
        for _ in 0..self.times {
            reply = Ok(http::send(&request).map_err(Failure::transient)?);
        }
        reply.map_err(Failure::transient)
    }

    fn refusal(reply: &Response) -> Refusal {
        Refusal::not_authorized().reason(reply.text().unwrap_or_default())
    }
}

impl Plugin for Caller {
    type Config = Self;

    fn init(config: Self) -> Result<(Self, Registration), String> {
        let mut actions = Actions::empty();
        for action in &config.authorize {
            actions |= match &**action {
                "publish" => Actions::PUBLISH,
                "subscribe" => Actions::SUBSCRIBE,
                "receive" => Actions::RECEIVE,
                other => return Err(format!("no such action: {other}")),
            };
        }
        let mut registration = Registration::new().authorize(actions);
        if !config.filters.is_empty() {
            registration = registration.on_publish(Selector::filters(&config.filters));
        }
        if !config.deliver.is_empty() {
            registration = registration.on_deliver(Selector::filters(&config.deliver));
        }
        if config.in_init {
            config.ask("init", "", "").map_err(|failure| format!("{failure:?}"))?;
        }
        Ok((config, registration))
    }
}

impl Authentication for Caller {
    fn authenticate(&mut self, connect: &Connect) -> Result<Outcome, Failure> {
        let reply = self.ask("authenticate", &connect.client_id, "")?;
        Ok(match reply.status {
            200 => Outcome::accept(Identity::new()),
            204 => Outcome::Abstain,
            _ => Outcome::refuse(Self::refusal(&reply)),
        })
    }
}

impl Authorization for Caller {
    fn authorize(&mut self, client: &Client, request: &Request) -> Result<Decision, Failure> {
        let hook = match request.action {
            Action::Publish => "publish",
            Action::Subscribe => "subscribe",
            Action::Receive => "receive",
            Action::Will => "will",
        };
        let reply = self.ask(hook, &client.id, &request.topic)?;
        let decision = match reply.status {
            200 => Decision::allow(),
            204 => Decision::abstain(),
            _ => Decision::deny(Self::refusal(&reply)),
        };
        Ok(decision.reuse_for(Duration::from_millis(self.reuse_ms)))
    }
}

impl Transformation for Caller {
    fn on_publish(&mut self, message: &impl Message) -> Result<Verdict, Failure> {
        let publisher = message.publisher().map(|client| client.id).unwrap_or_default();
        self.treat("transform", &publisher, message)
    }

    fn on_deliver(&mut self, client: &Client, message: &impl Message) -> Result<Verdict, Failure> {
        self.treat("deliver", &client.id, message)
    }
}

impl Caller {
    fn treat(&self, hook: &str, client: &str, message: &impl Message) -> Result<Verdict, Failure> {
        let reply = self.ask(hook, client, &message.topic())?;
        match reply.status {
            200 => message.set_payload(&reply.body),
            204 => {}
            _ => return Ok(Verdict::reject(Self::refusal(&reply))),
        }
        Ok(Verdict::Forward)
    }
}

export!(Caller: authentication, authorization, transformation);

#[cfg(test)]
mod tests {
    use super::*;
    use wasmqtt_plugin::test;

    #[test]
    fn it_does_what_the_service_says() {
        let config = r##"{"url": "http://h/x", "authorize": ["publish"], "filters": ["#"]}"##;
        let (mut caller, _) = test::init::<Caller>(config).unwrap();
        test::set_http(|request| match &*request.url {
            "http://h/x/authenticate/c/-" => Ok(Response::new(200)),
            "http://h/x/subscribe/c/a%2f%23" => Ok(Response::new(403).with_body("no")),
            "http://h/x/transform/publisher/a" => Ok(Response::new(200).with_body("other")),
            _ => Err("down".to_owned()),
        });
        let accepted = caller.authenticate(&Connect::new("c")).unwrap();
        assert!(matches!(accepted, Outcome::Accept(_)));
        let client = Client::new(1, "c", None);
        let denied = caller.authorize(&client, &Request::subscribe("a/#")).unwrap();
        assert_eq!(denied, Decision::deny(Refusal::not_authorized().reason("no")));
        let failed = caller.authorize(&client, &Request::publish("b"));
        assert_eq!(failed, Err(Failure::transient("down")));
        let message = test::Message::new("a", "x");
        assert_eq!(caller.on_publish(&message), Ok(Verdict::Forward));
        assert_eq!(message.changes().payload.as_deref(), Some(&b"other"[..]));
    }
}
