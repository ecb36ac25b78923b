//! Enhanced authentication: what is said between the broker and whoever authenticates in rounds.

use std::fmt;
use std::sync::Arc;

use super::{Connecting, Gate, Identity, Refusal};

/// What the broker keeps between two rounds, so that whoever is asked next can go on. The client never sees it, and
/// it is used for one round of one connection: there is nothing to forge, and nothing to send twice.
#[derive(Clone, PartialEq, Eq)]
pub struct Progress {
    /// Who has to be asked.
    pub authenticator: Box<str>,
    /// Its own affair.
    pub state: Box<[u8]>,
}

impl fmt::Debug for Progress {
    /// Without the state: this may end in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress")
            .field("authenticator", &self.authenticator)
            .finish_non_exhaustive()
    }
}

/// What has to be asked in one round. Owned, because the answer may take its time.
pub struct Question {
    pub(crate) connecting: Arc<Connecting>,
    pub(crate) method: Arc<str>,
    pub(crate) data: Vec<u8>,
    /// None in the first round.
    pub(crate) progress: Option<Progress>,
}

impl Question {
    /// Puts it to the authenticators of the client's listener. Blocks.
    pub fn ask(&self, gate: &dyn Gate) -> Result<Step, Refusal> {
        let Self { connecting, method, data, progress } = self;
        match progress {
            None => gate.begin(connecting, method, data),
            Some(progress) => gate.proceed(connecting, method, data, progress),
        }
    }
}

impl fmt::Debug for Question {
    /// Without what is secret: this may end in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let client_id = &self.connecting.client_id;
        f.debug_struct("Question")
            .field("client_id", client_id)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

/// What a client is told in one round, unless it is refused.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// The client has to answer this.
    Challenge {
        /// Authentication Data of the AUTH packet; left out when it is empty.
        data: Vec<u8>,
        /// For the next round.
        progress: Progress,
    },
    /// The client is who it says.
    Accept(Success),
}

/// The end of an exchange.
#[derive(Clone, Debug, PartialEq)]
pub struct Success {
    /// Who it is.
    pub identity: Identity,
    /// Authentication Data of CONNACK, or of the AUTH packet that ends a re-authentication.
    pub data: Option<Vec<u8>>,
}
