//! What of MQTT a listener offers, and how it treats those who come: switches, where `limits` are numbers.
//!
//! What MQTT 5 has a property for is announced in CONNACK; everything is enforced.

use wasmqtt_codec::{QoS, Version};

/// The protocol versions a listener takes.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Versions {
    /// MQTT 3.1.
    pub v31: bool,
    /// MQTT 3.1.1.
    pub v311: bool,
    /// MQTT 5.0.
    pub v5: bool,
}

impl Versions {
    /// Every version there is.
    pub const ALL: Self = Self { v31: true, v311: true, v5: true };

    /// Whether `version` is one of these.
    pub const fn contain(self, version: Version) -> bool {
        match version {
            Version::V31 => self.v31,
            Version::V311 => self.v311,
            Version::V5 => self.v5,
        }
    }
}

/// The switches of one listener.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Features {
    /// Others are refused with 0x84, before anybody is asked who they are [MQTT-3.1.2-2].
    pub versions: Versions,
    /// The highest QoS a client may publish or leave a will with, and the highest that is granted to a subscription
    /// [MQTT-3.2.2-9], [MQTT-3.2.2-11], [MQTT-3.2.2-12].
    pub max_qos: QoS,
    /// Whether a client may publish or leave a will with the retain flag, and is sent retained messages
    /// [MQTT-3.2.2-13], [MQTT-3.2.2-14].
    pub retain: bool,
    /// Whether filters may have wildcards.
    pub wildcard_subscriptions: bool,
    /// Whether SUBSCRIBE may carry a subscription identifier.
    pub subscription_identifiers: bool,
    /// Whether filters may begin with `$share/`.
    pub shared_subscriptions: bool,
    /// Whether a payload that is declared to be UTF-8 is looked at, and refused when it is not [MQTT-3.3.2-4].
    pub validate_payload_format: bool,
    /// Whether a client takes its session over from a connection that still has it [MQTT-3.1.4-3]; else it is refused
    /// with 0x85 for as long as that connection lives.
    pub take_over: bool,
    /// Whether client identifiers and user names may hold `+`, `#`, `/` and control characters; else such a client is
    /// refused with 0x85 or 0x86.
    pub unsafe_client_ids: bool,
    /// Whether a retained message is only sent if whoever published it may still publish it.
    pub check_retained_source: bool,
}

impl Default for Features {
    fn default() -> Self {
        Self {
            versions: Versions::ALL,
            max_qos: QoS::ExactlyOnce,
            retain: true,
            wildcard_subscriptions: true,
            subscription_identifiers: true,
            shared_subscriptions: true,
            validate_payload_format: true,
            take_over: true,
            unsafe_client_ids: true,
            check_retained_source: true,
        }
    }
}
