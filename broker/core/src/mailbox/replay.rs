//! Retained messages that are still to be read from the store.

use std::sync::Arc;

use super::Through;
use crate::subscription::SubscriptionOptions;

/// How far the retained messages of one subscription have been read. A few words, however many there are: thousands of
/// clients may subscribe to everything.
#[derive(Clone, Debug)]
pub(crate) struct Replay {
    pub(crate) filter: Box<str>,
    pub(crate) options: SubscriptionOptions,
    /// What the subscription adds, shared by all messages.
    pub(crate) through: Option<Arc<Through>>,
    /// The place in the store to go on at.
    pub(crate) at: u32,
    /// Messages that the store took after this number come as they are published.
    pub(crate) until: u64,
}
