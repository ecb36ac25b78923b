//! What becomes of deliveries: `receive`, then `on-deliver`.

use wasmqtt_codec::{QoS, ReasonCode};
use wasmqtt_core::client::ListenerId;
use wasmqtt_core::judge::{Actions, Effect, Judge, Permission, Permissions, Screened};

use super::*;

impl Bench {
    fn screen(&mut self, topic: &str) -> Screened {
        self.judge.screen(NOW, &self.client, &Arc::new(message(topic, b"21.5")))
    }

    fn replaced(&mut self, topic: &str) -> Arc<Message> {
        match self.screen(topic) {
            Screened::Replace(message) => message,
            other => panic!("{topic}: {other:?}"),
        }
    }
}

fn receiving() -> Puppet {
    Puppet { on_deliver: false, ..Puppet::default() }
}

fn delivering() -> Puppet {
    Puppet { actions: 0b011, ..Puppet::default() }
}

#[test]
fn receive_is_asked_of_those_who_registered_and_nobody_s_answer_is_yes() {
    let mut bench = Bench::with(receiving(), OnFailure::Closed);
    assert!(bench.judge.screens(ListenerId(0)));
    assert!(matches!(bench.screen("a"), Screened::Deliver));
    assert!(matches!(bench.screen("n"), Screened::Deliver));
    assert!(matches!(bench.screen("d"), Screened::Skip));
    assert!(matches!(bench.screen("f"), Screened::Skip));
    let mut bench = Bench::with(delivering(), OnFailure::Closed);
    assert!(matches!(bench.screen("a"), Screened::Deliver));
    assert_eq!(bench.status().calls, 1, "on-deliver alone");
}

#[test]
fn a_receiver_allowed_up_to_a_qos_gets_its_copy_with_that() {
    let mut bench = Bench::with(receiving(), OnFailure::Closed);
    assert_eq!(bench.replaced("u").qos(), QoS::AtMostOnce);
}

#[test]
fn permissions_to_receive_come_before_the_chain() {
    let mut bench = Bench::with(receiving(), OnFailure::Closed);
    let permission = |effect, filter: &str| Permission {
        effect,
        filter: filter.into(),
        actions: Actions { receive: true, ..Actions::default() },
        max_qos: None,
        retain: None,
    };
    let permissions = [permission(Effect::Deny, "a"), permission(Effect::Allow, "d")];
    bench.client = client(Permissions::resolve(&permissions, |_| None));
    assert!(matches!(bench.screen("a"), Screened::Skip));
    assert!(matches!(bench.screen("d"), Screened::Deliver));
    assert_eq!(bench.status().calls, 0);
}

#[test]
fn what_is_set_changes_this_subscriber_s_copy_alone() {
    let mut bench = Bench::with(delivering(), OnFailure::Closed);
    let shared = Arc::new(message("p", b"21.5"));
    let screened = bench.judge.screen(NOW, &bench.client, &shared);
    assert!(matches!(screened, Screened::Replace(copy) if copy.payload() == b"so long"));
    assert_eq!(shared.payload(), b"21.5");
}

#[test]
fn discard_reject_and_failure_skip_one_delivery() {
    let mut bench = Bench::with(delivering(), OnFailure::Closed);
    for topic in ["x", "d", "f", "c", "w", "t"] {
        assert!(matches!(bench.screen(topic), Screened::Skip), "{topic}");
    }
    assert!(matches!(bench.screen("a"), Screened::Deliver));
    let mut bench = Bench::with(delivering(), OnFailure::Open);
    for topic in ["f", "c", "w", "t"] {
        assert!(matches!(bench.screen(topic), Screened::Deliver), "{topic}");
    }
}

#[test]
fn a_copy_moves_only_to_granted_topics_or_where_the_subscriber_may_subscribe() {
    let mut bench = Bench::new(&[("x", delivering())], |specs, _| {
        specs[0].grants.topics = vec!["out/#".into()];
        specs[0].on_failure = OnFailure::Open;
    });
    assert_eq!(bench.replaced("s/out/1").topic(), "out/1");
    assert!(matches!(bench.screen("s/in/1"), Screened::Skip));
    let mut bench = Bench::new(&[("x", delivering())], |specs, _| specs[0].reauthorize = true);
    assert_eq!(bench.replaced("s/a/1").topic(), "a/1");
    assert!(matches!(bench.screen("s/d/1"), Screened::Skip));
    assert_eq!(bench.authorize("d"), denied(ReasonCode::NotAuthorized));
}
