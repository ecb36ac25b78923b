//! What an authenticator answers in one round of an AUTH exchange.

use wasmqtt_core::judge::{Progress, Refusal, Step, Success};

use super::{failure, identity, invalid, refusal};
use crate::bindings::exports::wasmqtt::plugin::enhanced_authentication as enhanced;
use crate::bindings::wasmqtt::plugin::types::Failure;
use crate::error::CallError;

/// Bytes that may be kept for the next round: every client that is in the middle of an exchange has its own.
const STATE_MAX: usize = 16_384;
/// Bytes of Authentication Data, MQTT's bound of binary data.
const DATA_MAX: usize = 65_535;

/// One round's answer.
pub(crate) type Round = Result<Step, Refusal>;

/// Takes over what the plugin called `name` answered.
pub(crate) fn round(
    name: &str,
    answer: Result<enhanced::Step, Failure>,
) -> Result<Round, CallError> {
    Ok(match answer.map_err(failure)? {
        enhanced::Step::Challenge(enhanced::Challenge { data, state }) => {
            check_data(&data)?;
            if state.len() > STATE_MAX {
                return Err(invalid(format!("a state of more than {STATE_MAX} bytes")));
            }
            let progress = Progress { authenticator: name.into(), state: state.into() };
            Ok(Step::Challenge { data, progress })
        }
        enhanced::Step::Accept(success) => {
            success.data.as_deref().map_or(Ok(()), check_data)?;
            let identity = identity(success.identity)?;
            Ok(Step::Accept(Success { identity, data: success.data }))
        }
        enhanced::Step::Refuse(no) => Err(refusal(no)?),
    })
}

fn check_data(data: &[u8]) -> Result<(), CallError> {
    if data.len() > DATA_MAX {
        return Err(invalid(format!("more than {DATA_MAX} bytes of authentication data")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(data: usize, state: usize) -> Result<Round, CallError> {
        let (data, state) = (vec![1; data], vec![2; state]);
        round("x", Ok(enhanced::Step::Challenge(enhanced::Challenge { data, state })))
    }

    #[test]
    fn a_challenge_and_what_is_kept_for_it_are_bounded() {
        assert_eq!(
            challenge(DATA_MAX, STATE_MAX).unwrap(),
            Ok(Step::Challenge {
                data: vec![1; DATA_MAX],
                progress: Progress { authenticator: "x".into(), state: [2; STATE_MAX].into() },
            })
        );
        assert!(matches!(challenge(DATA_MAX + 1, 0), Err(CallError::Invalid(_))));
        assert!(matches!(challenge(0, STATE_MAX + 1), Err(CallError::Invalid(_))));
    }
}
