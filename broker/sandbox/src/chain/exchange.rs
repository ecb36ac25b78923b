//! Enhanced authentication: which plugin of the chain answers one round of an exchange. Nobody else is asked, and where
//! the plugin cannot answer nobody gets in, whatever its failure policy.

use wasmqtt_codec::ReasonCode;
use wasmqtt_core::judge::{Refusal, Step};

use super::Chain;
use crate::guest::Round;
use crate::plugin::Plugin;

impl Chain {
    /// What is the client told? In the first round the first plugin that speaks the method answers; in every other
    /// one `authenticator`, by its name: it may be of a later generation. Blocks.
    pub(crate) fn exchange(
        &self,
        plugins: &[Plugin],
        round: Round<'_>,
        authenticator: Option<&str>,
    ) -> Result<Step, Refusal> {
        let mut code = ReasonCode::BadAuthenticationMethod;
        for plugin in self.authenticate.iter().filter_map(|place| plugins.get(*place)) {
            let speaks = plugin.registration.methods.iter().any(|method| method == round.method);
            if !speaks || authenticator.is_some_and(|name| name != plugin.spec.name) {
                continue;
            }
            match plugin.exchange(round) {
                Ok(Ok(step)) => return Ok(step),
                Ok(Err(refusal)) => return Err(refusal),
                Err(error) => {
                    plugin.complain("enhanced-authentication", &error);
                    code = ReasonCode::ServerUnavailable;
                    if !plugin.fails_open() {
                        break;
                    }
                }
            }
        }
        Err(Refusal::new(code))
    }
}
