//! What is counted of an answer.

use wasmqtt_core::judge::{Decision, Step};
use wasmqtt_core::message::Changes;

use crate::convert::{Entrance, Round, Verdict};
use crate::tally::Outcome;

/// What a hook answers.
pub(super) trait Answer {
    /// As it is counted.
    fn outcome(&self) -> Outcome;
}

impl Answer for Entrance {
    fn outcome(&self) -> Outcome {
        match self {
            Some(Ok(_)) => Outcome::Allow,
            Some(Err(_)) => Outcome::Deny,
            None => Outcome::Abstain,
        }
    }
}

impl Answer for Round {
    fn outcome(&self) -> Outcome {
        match self {
            Ok(Step::Challenge { .. }) => Outcome::Challenge,
            Ok(_) => Outcome::Allow,
            Err(_) => Outcome::Deny,
        }
    }
}

impl Answer for (Option<Decision>, u32) {
    fn outcome(&self) -> Outcome {
        match self.0 {
            Some(Decision::Allow | Decision::AllowUpTo(_)) => Outcome::Allow,
            Some(Decision::Deny(_)) => Outcome::Deny,
            None => Outcome::Abstain,
        }
    }
}

impl Answer for (Verdict, Changes) {
    fn outcome(&self) -> Outcome {
        match self.0 {
            Verdict::Forward => Outcome::Forward,
            Verdict::Discard => Outcome::Discard,
            Verdict::Reject(_) => Outcome::Reject,
        }
    }
}

impl Answer for () {
    fn outcome(&self) -> Outcome {
        Outcome::Done
    }
}
