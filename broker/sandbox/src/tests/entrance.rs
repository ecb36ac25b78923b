//! Who gets in.

use std::time::{Duration, Instant};

use wasmqtt_codec::ReasonCode;
use wasmqtt_core::client::ListenerId;
use wasmqtt_core::judge::{Connecting, Identity, Refusal};

use super::*;
use crate::testing::connecting;

impl Bench {
    fn authenticate(&self, client_id: &str) -> Result<Identity, ReasonCode> {
        self.enter(&connecting(client_id, Some("alice")))
    }

    fn enter(&self, connecting: &Connecting) -> Result<Identity, ReasonCode> {
        self.sandbox.gate().authenticate(connecting).map_err(|refusal: Refusal| refusal.code)
    }
}

#[test]
fn every_answer_of_an_authenticator_arrives() {
    let bench = Bench::with(Puppet::default(), OnFailure::Closed);
    assert_eq!(bench.authenticate("a").unwrap().name, None);
    assert_eq!(bench.authenticate("d").unwrap_err(), ReasonCode::BadUserNameOrPassword);
    let status = bench.status();
    assert_eq!((status.calls, status.denied), (2, 1));
}

#[test]
fn where_all_abstain_nobody_gets_in() {
    let bench = Bench::with(Puppet::default(), OnFailure::Closed);
    assert_eq!(bench.authenticate("n").unwrap_err(), ReasonCode::BadUserNameOrPassword);
    let nameless = connecting("n", None);
    assert_eq!(bench.enter(&nameless).unwrap_err(), ReasonCode::NotAuthorized);
    let elsewhere = Connecting { listener: ListenerId(9), ..connecting("a", None) };
    assert_eq!(bench.enter(&elsewhere).unwrap_err(), ReasonCode::NotAuthorized);
}

#[test]
fn an_anonymous_listener_admits_the_nameless_but_no_name_that_nobody_vouched_for() {
    let bench = Bench::new(&[("x", Puppet::default())], |_, chain| chain.anonymous = true);
    assert!(bench.enter(&connecting("n", None)).is_ok());
    assert_eq!(bench.authenticate("n").unwrap_err(), ReasonCode::BadUserNameOrPassword);
    let bench = Bench::new(&[("x", Puppet::default())], |_, chain| {
        chain.anonymous = true;
        chain.authenticate.clear();
    });
    assert!(bench.authenticate("n").is_ok(), "there is nobody to vouch for names");
}

#[test]
fn a_failure_refuses_when_closed_and_abstains_when_open() {
    for client_id in ["f", "t", "c"] {
        let bench = Bench::with(Puppet::default(), OnFailure::Closed);
        assert_eq!(bench.authenticate(client_id).unwrap_err(), ReasonCode::ServerUnavailable);
        assert!(bench.authenticate("a").is_ok(), "a fresh instance answers");
    }
    let bench = Bench::new(&[("x", Puppet::default()), ("y", Puppet::default())], |specs, _| {
        specs[0].on_failure = OnFailure::Open;
    });
    assert_eq!(
        bench.authenticate("f").unwrap_err(),
        ReasonCode::ServerUnavailable,
        "of the second"
    );
}

#[test]
fn an_authenticator_that_never_answers_is_stopped_and_others_get_in_meanwhile() {
    // Processor time, which the stuck one has to itself only where others have as much.
    let deadline = Duration::from_secs(2);
    let bench = Bench::new(&[("x", Puppet::default())], |specs, _| {
        specs[0].limits.authenticate = deadline;
    });
    std::thread::scope(|scope| {
        let begin = Instant::now();
        let stuck = scope.spawn(|| bench.authenticate("l"));
        assert!(bench.authenticate("a").is_ok());
        assert!(!stuck.is_finished(), "waited for the stuck one");
        assert_eq!(stuck.join().unwrap().unwrap_err(), ReasonCode::ServerUnavailable);
        assert!(begin.elapsed() >= deadline);
    });
    assert_eq!(bench.status().deadline_misses, 1);
}

#[test]
fn the_wait_for_a_busy_authenticator_is_bounded() {
    const CALLERS: u64 = 12;
    let bench = Bench::with(Puppet::default(), OnFailure::Closed);
    std::thread::scope(|scope| {
        // Many more than there are instances: most find none in time, or one with no time left.
        let stuck: Vec<_> = (0..CALLERS).map(|_| scope.spawn(|| bench.authenticate("l"))).collect();
        for stuck in stuck {
            assert_eq!(stuck.join().unwrap().unwrap_err(), ReasonCode::ServerUnavailable);
        }
    });
    let looped = bench.status().deadline_misses;
    assert!((2..CALLERS).contains(&looped), "{looped} of {CALLERS} waited as long as it took");
    assert!(bench.authenticate("a").is_ok());
}
