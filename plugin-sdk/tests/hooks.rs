//! Hooks without a component, as an author's own tests call them: the rounds of an exchange, and batches of events.

use std::time::Duration;

use wasmqtt_plugin::{
    Connect, EnhancedAuthentication, Event, EventKind, Failure, Identity, NoConfig, Observation,
    Plugin, Refusal, Registration, Step, metrics, test,
};

/// Asks for the double of a number that it chose in the round before.
struct Doubles;

impl Plugin for Doubles {
    type Config = NoConfig;

    fn init(_: NoConfig) -> Result<(Self, Registration), String> {
        Ok((Self, Registration::new()))
    }
}

impl EnhancedAuthentication for Doubles {
    fn methods(&self) -> Vec<String> {
        vec!["DOUBLE".to_owned()]
    }

    fn begin(&mut self, connect: &Connect, _: &str, data: &[u8]) -> Result<Step, Failure> {
        match data {
            [number] => Ok(Step::challenge([*number], [*number])),
            [] => Ok(Step::refuse(Refusal::not_authorized().reason("send a number"))),
            _ => Err(Failure::transient(format!("{} sent too much", connect.client_id))),
        }
    }

    fn proceed(
        &mut self,
        connect: &Connect,
        method: &str,
        data: &[u8],
        state: &[u8],
    ) -> Result<Step, Failure> {
        let [number] = state else { return Err(Failure::permanent("no state")) };
        match data == [number.wrapping_mul(2)] {
            true => Ok(Step::accept_with(Identity::named(&connect.client_id), method)),
            false => Ok(Step::refuse(Refusal::not_authorized())),
        }
    }
}

#[test]
fn an_exchange_goes_on_with_the_state_that_the_challenge_left_and_with_nothing_else() {
    let (mut plugin, _) = test::init::<Doubles>("{}").unwrap();
    assert_eq!(plugin.methods(), ["DOUBLE"]);
    let connect = Connect::new("c");
    let begun = plugin.begin(&connect, "DOUBLE", &[7]).unwrap();
    let Step::Challenge(challenge) = begun else { panic!("{begun:?}") };
    assert_eq!((&*challenge.data, &*challenge.state), (&[7][..], &[7][..]));
    // Another instance, as it may be.
    let (mut other, _) = test::init::<Doubles>("{}").unwrap();
    let answered = other.proceed(&connect, "DOUBLE", &[14], &challenge.state).unwrap();
    let Step::Accept(success) = answered else { panic!("{answered:?}") };
    assert_eq!(success.identity.name.as_deref(), Some("c"));
    assert_eq!(success.data.as_deref(), Some(&b"DOUBLE"[..]));
    let wrong = other.proceed(&connect, "DOUBLE", &[15], &challenge.state).unwrap();
    assert!(matches!(wrong, Step::Refuse(refusal) if refusal.code == 0x87));
    let refused = plugin.begin(&connect, "DOUBLE", &[]).unwrap();
    let Step::Refuse(refusal) = refused else { panic!("{refused:?}") };
    assert_eq!(refusal.reason.as_deref(), Some("send a number"));
    let failed = plugin.begin(&connect, "DOUBLE", &[1, 2]).unwrap_err();
    assert_eq!(failed, Failure::transient("c sent too much"));
}

/// Counts what it is told, and what was lost.
struct Tally {
    told: metrics::Counter,
    lost: metrics::Counter,
    ticks: metrics::Gauge,
    count: u32,
    last: Option<Event>,
}

impl Plugin for Tally {
    type Config = NoConfig;

    fn init(_: NoConfig) -> Result<(Self, Registration), String> {
        let tally = Self {
            told: metrics::Counter::new("told", ""),
            lost: metrics::Counter::new("lost", ""),
            ticks: metrics::Gauge::new("ticks", ""),
            count: 0,
            last: None,
        };
        let wanted = Registration::new()
            .events([EventKind::ClientConnected, EventKind::PublishRefused])
            .tick_every(Duration::from_secs(1));
        Ok((tally, wanted))
    }
}

impl Observation for Tally {
    fn on_events(&mut self, events: &[Event], lost: u64) {
        self.told.add(events.len() as u64);
        self.lost.add(lost);
        self.last = events.last().cloned();
    }

    fn tick(&mut self) {
        self.count += 1;
        self.ticks.set(self.count.into());
    }
}

#[test]
fn an_observer_registers_for_kinds_and_ticks_and_is_told_batches_with_what_was_lost() {
    let (mut tally, registration) = test::init::<Tally>("{}").unwrap();
    assert_eq!(registration.events, [EventKind::ClientConnected, EventKind::PublishRefused]);
    assert_eq!(registration.tick_every, 1_000);
    let connected = Event::new(EventKind::ClientConnected);
    let refused = Event {
        client_id: Some("c".to_owned()),
        topic: Some("a/b".to_owned()),
        code: Some(0x87),
        ..Event::new(EventKind::PublishRefused)
    };
    tally.on_events(&[connected, refused], 0);
    tally.on_events(&[], 5);
    assert_eq!((test::metric("told"), test::metric("lost")), (Some(2.0), Some(5.0)));
    assert!(tally.last.is_none(), "the last batch was empty");
    tally.tick();
    tally.tick();
    assert_eq!(test::metric("ticks"), Some(2.0));
    for kind in EventKind::ALL {
        assert_eq!(EventKind::from_name(kind.as_str()), Some(kind));
    }
}

#[test]
fn an_observer_that_does_nothing_may_be_told_anything() {
    struct Idle;
    impl Plugin for Idle {
        type Config = NoConfig;
        fn init(_: NoConfig) -> Result<(Self, Registration), String> {
            Ok((Self, Registration::new()))
        }
    }
    impl Observation for Idle {}
    let (mut idle, registration) = test::init::<Idle>("{}").unwrap();
    idle.on_events(&[Event::new(EventKind::SessionEnded)], 1);
    idle.tick();
    assert!(registration.events.is_empty() && registration.tick_every == 0);
}

#[test]
fn a_metric_that_would_be_exported_by_the_name_of_another_counts_nowhere() {
    let total = metrics::Counter::new("seen", "");
    let clash = metrics::Gauge::new("seen_total", "");
    total.add(1);
    clash.set(7.0);
    assert_eq!((test::metric("seen"), test::metric("seen_total")), (Some(1.0), None));
}
