//! Whether a listener takes a client like this at all: what can be said before anybody is asked who it is.

use wasmqtt_codec::ReasonCode;

use super::Broker;
use super::admit::{ASSIGNED, keep_alive};
use crate::connection::handshake::{Hello, Terms, WillRequest};
use crate::connection::{check_format, check_size};
use crate::fault::Fault;
use crate::features::Features;
use crate::judge::{Connecting, Refusal};
use crate::limits::Limits;
use crate::time::Moment;

impl Broker {
    /// Looks at CONNECT as it was sent. For the shell to call before it has the client authenticated, so that nobody is
    /// asked in vain; [`Broker::admit`] looks again.
    pub fn greet(&self, now: Moment, hello: &Hello, limits: &Limits) -> Result<(), Refusal> {
        let features = &limits.features;
        if !features.versions.contain(hello.connecting.version) {
            return Err(Refusal::new(ReasonCode::UnsupportedProtocolVersion)
                .because("this listener does not take this version of MQTT"));
        }
        if !features.unsafe_client_ids {
            check_names(hello)?;
        }
        if limits.flapping.connects > 0 {
            // As it says itself; whoever it turns out to be is counted when it is known.
            let Connecting { client_id, username, .. } = &hello.connecting;
            let who = (client_id.as_str(), username.as_deref());
            if let Some(until) = self.jail.banned(now, &who) {
                return Err(banned(now, until));
            }
        }
        let most = usize::from(limits.max_user_properties);
        let left = hello
            .will
            .as_ref()
            .map_or(0, |will| will.properties.as_view().user_properties().iter().count());
        if hello.connecting.user_properties.len() > most || left > most {
            return Err(refused(&Fault::TooManyUserProperties));
        }
        check_size_of(hello, limits).map_err(|fault| refused(&fault))?;
        hello.will.as_ref().map_or(Ok(()), |will| check_will(will, features))?;
        let connecting = &hello.connecting;
        hello.check_connack(&Terms {
            limits,
            session_expiry: hello.session_expiry.unwrap_or(0).min(limits.session_expiry_max),
            keep_alive: keep_alive(connecting, limits),
            assigned: connecting.client_id.is_empty().then_some(ASSIGNED),
        })
    }
}

fn refused(fault: &Fault) -> Refusal {
    Refusal::new(fault.reason()).because(fault.to_string())
}

/// How much CONNECT and the will in it may carry.
fn check_size_of(hello: &Hello, limits: &Limits) -> Result<(), Fault> {
    let own = hello.connecting.user_properties.iter();
    let bytes: usize = own.map(|(name, value)| name.len() + value.len()).sum();
    if bytes > limits.max_user_properties_bytes as usize {
        return Err(Fault::TooManyUserProperties);
    }
    let Some(will) = &hello.will else { return Ok(()) };
    let properties = will.properties.as_view();
    check_size(limits, properties, properties.encoded_len(), &will.payload)
}

/// A client identifier that connects too often.
pub(super) fn banned(now: Moment, until: Moment) -> Refusal {
    let seconds = until.seconds_left(now).unwrap_or(0);
    Refusal::new(ReasonCode::Banned)
        .because(format!("connected too often; try again in {seconds} s"))
}

/// Whether client identifier and user name can stand for one level of a topic, and on one line of a log.
fn check_names(hello: &Hello) -> Result<(), Refusal> {
    let is_unsafe = |name: &str| {
        name.contains(|char: char| matches!(char, '+' | '#' | '/') || char.is_control())
    };
    let what = "may hold neither +, #, / nor control characters";
    if is_unsafe(&hello.connecting.client_id) {
        return Err(Refusal::new(ReasonCode::ClientIdentifierNotValid)
            .because(format!("the client identifier {what}")));
    }
    if hello.connecting.username.as_deref().is_some_and(is_unsafe) {
        return Err(Refusal::new(ReasonCode::BadUserNameOrPassword)
            .because(format!("the user name {what}")));
    }
    Ok(())
}

fn check_will(will: &WillRequest, features: &Features) -> Result<(), Refusal> {
    if will.qos > features.max_qos {
        return Err(Refusal::new(ReasonCode::QoSNotSupported)
            .because("the QoS of the will is above the maximum of this listener"));
    }
    if will.retain && !features.retain {
        return Err(Refusal::new(ReasonCode::RetainNotSupported)
            .because("this listener retains no messages, wills included"));
    }
    if features.validate_payload_format {
        check_format(will.properties.as_view(), &will.payload)
            .map_err(|fault| Refusal::new(fault.reason()).because("the will is not UTF-8"))?;
    }
    Ok(())
}
