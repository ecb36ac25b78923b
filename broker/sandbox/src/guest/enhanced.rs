//! The hook `enhanced-authentication`: one round of an AUTH exchange.

use std::time::Duration;

use wasmqtt_core::judge::Connecting;

use super::{Guest, lost, missing};
use crate::budget;
use crate::convert;
use crate::error::CallError;

/// What one round is about.
#[derive(Copy, Clone)]
pub(crate) struct Round<'a> {
    pub(crate) connecting: &'a Connecting,
    pub(crate) method: &'a str,
    /// Empty when the client sent none.
    pub(crate) data: &'a [u8],
    /// What the round before left; none in the first.
    pub(crate) state: Option<&'a [u8]>,
}

impl Guest {
    /// Asks what a client that authenticates in rounds is to be told.
    pub(crate) fn exchange(
        &mut self,
        deadline: Duration,
        round: Round<'_>,
        listener: &str,
    ) -> Result<convert::Round, CallError> {
        let hook = self.hooks.enhanced.as_ref().ok_or_else(missing)?;
        let Round { connecting, method, data, state } = round;
        let properties = convert::user_property_params(&connecting.user_properties);
        let names = convert::certificate_names(connecting);
        let connect = convert::connect(connecting, listener, &properties, &names);
        budget::grant(&mut self.store, deadline);
        let running = self.ticker.run(&self.pulse);
        let result = match state {
            None => hook.call_begin(&mut self.store, connect, method, data),
            Some(state) => hook.call_proceed(&mut self.store, connect, method, data, state),
        };
        drop(running);
        let result = result.map_err(|error| lost(&mut self.store, &error, deadline));
        self.store.data_mut().last_words = None;
        convert::round(&self.store.data().surroundings.name, result?)
    }
}
