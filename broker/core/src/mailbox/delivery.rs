//! A message on its way to one subscriber.

use std::num::NonZeroU32;
use std::sync::Arc;

use wasmqtt_codec::QoS;

use crate::message::Message;

/// A message with what one subscriber's subscriptions make of it. Three words: thousands of them may wait.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Shared with every other mailbox it went to.
    pub message: Arc<Message>,
    /// What the subscriptions add, shared with every other message that came through them; none when it is nothing.
    pub through: Option<Arc<Through>>,
    /// The lower of the message's and the highest granted one.
    pub qos: QoS,
    /// The flag to send.
    pub retain: bool,
    /// Read from the retained store, rather than published now.
    pub stored: bool,
}

/// The subscriptions a message came through, as far as they show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Through {
    /// Of every subscription that matched [MQTT-3.3.4-4].
    pub identifiers: Box<[NonZeroU32]>,
    /// The shared subscription, as it was written, `$share` included.
    pub share: Option<Arc<str>>,
}

impl Through {
    /// Of plain subscriptions; none without an identifier.
    pub(crate) fn plain(identifiers: impl IntoIterator<Item = NonZeroU32>) -> Option<Arc<Self>> {
        let identifiers: Box<[NonZeroU32]> = identifiers.into_iter().collect();
        (!identifiers.is_empty()).then(|| Arc::new(Self { identifiers, share: None }))
    }
}

impl Delivery {
    /// Of every subscription that matched.
    pub fn identifiers(&self) -> &[NonZeroU32] {
        self.through.as_ref().map_or(&[], |through| &through.identifiers)
    }

    /// The shared subscription it came through.
    pub fn share(&self) -> Option<&Arc<str>> {
        self.through.as_ref()?.share.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::inflight::Stage;

    #[test]
    fn a_delivery_takes_three_words_wherever_it_waits() {
        assert_eq!(size_of::<Delivery>(), 3 * size_of::<usize>());
        assert_eq!(size_of::<Option<Stage>>(), 3 * size_of::<usize>());
    }
}
