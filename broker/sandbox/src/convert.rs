//! The only place that says the words of the contract and the words of the core together. What a
//! plugin answers is checked here: an answer that the core could not use is a failure of the plugin.

mod round;

use wasmqtt_codec::{Filter, QoS, ReasonCode, UserProperties, UserPropertiesBuf, Version};
use wasmqtt_core::client::{Client, Transport};
use wasmqtt_core::judge::{
    Action, Actions, Connecting, Decision, Effect, Identity, IdentityLimits, Permission, Refusal,
    Request,
};
use wasmqtt_core::message::Origin;
use wasmqtt_core::observe::{Kind, Subject};

use crate::bindings::exports::wasmqtt::plugin::{
    authentication as authn, authorization as authz, lifecycle, observation, transformation,
};
use crate::bindings::wasmqtt::plugin::clients::{
    Certificate as CertificateParam, ClientParam, ClientResult,
};
use crate::bindings::wasmqtt::plugin::identities;
use crate::bindings::wasmqtt::plugin::types::{
    self, Failure, Qos, UserPropertyParam, UserPropertyResult,
};
use crate::error::CallError;
use crate::observe::Observed;
use crate::registration::{Registration, Selector, Selectors, check_methods, tick_every};

pub(crate) use round::{Round, round};

/// Bounds of an identity: a session keeps it.
const PERMISSIONS_MAX: usize = 1024;
const ATTRIBUTES_MAX: usize = 256;
/// Bytes of a name or of an attribute, MQTT's bound of a string.
const TEXT_MAX: usize = 65_535;
/// User properties of a refusal or a CONNACK.
const PROPERTIES_MAX: usize = 64;

/// What a transformer answered.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    Forward,
    Discard,
    Reject(Refusal),
}

/// What an authenticator answered; none = it abstains.
pub(crate) type Entrance = Option<Result<Identity, Refusal>>;

pub(crate) fn qos(qos: QoS) -> Qos {
    match qos {
        QoS::AtMostOnce => Qos::AtMostOnce,
        QoS::AtLeastOnce => Qos::AtLeastOnce,
        QoS::ExactlyOnce => Qos::ExactlyOnce,
    }
}

pub(crate) fn core_qos(qos: Qos) -> QoS {
    match qos {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
        Qos::ExactlyOnce => QoS::ExactlyOnce,
    }
}

pub(crate) fn protocol(version: Version) -> types::Protocol {
    match version {
        Version::V31 => types::Protocol::V31,
        Version::V311 => types::Protocol::V311,
        Version::V5 => types::Protocol::V5,
    }
}

fn transport(transport: Transport) -> types::Transport {
    match transport {
        Transport::Tcp => types::Transport::Tcp,
        Transport::Tls => types::Transport::Tls,
        Transport::WebSocket => types::Transport::Websocket,
        Transport::WebSocketTls => types::Transport::WebsocketTls,
        Transport::Unix => types::Transport::Unix,
        Transport::Internal => types::Transport::Internal,
    }
}

pub(crate) fn origin(origin: Origin) -> types::Origin {
    match origin {
        Origin::Client => types::Origin::Client,
        Origin::Will => types::Origin::Will,
        Origin::Http => types::Origin::Http,
        Origin::Plugin => types::Origin::Plugin,
        Origin::Bridge => types::Origin::Bridge,
        Origin::Broker => types::Origin::Broker,
    }
}

pub(crate) fn client(client: &Client) -> ClientParam<'_> {
    ClientParam { key: client.key, id: &client.id, username: client.name.as_deref() }
}

pub(crate) fn owned_client(client: &Client) -> ClientResult {
    ClientResult {
        key: client.key,
        id: client.id.to_string(),
        username: client.name.as_deref().map(str::to_owned),
    }
}

pub(crate) fn owned_user_properties(properties: UserProperties<'_>) -> Vec<UserPropertyResult> {
    let owned =
        |(name, value): (&str, &str)| UserPropertyResult { name: name.into(), value: value.into() };
    properties.iter().map(owned).collect()
}

/// Pairs the words for what can happen, in both directions.
macro_rules! kinds {
    ($($kind:ident),+ $(,)?) => {
        fn kind(kind: types::EventKind) -> Kind {
            match kind { $(types::EventKind::$kind => Kind::$kind,)+ }
        }

        fn event_kind(kind: Kind) -> types::EventKind {
            match kind { $(Kind::$kind => types::EventKind::$kind,)+ }
        }
    };
}

kinds! {
    ClientConnected, ClientRefused, ClientDisconnected,
    SessionCreated, SessionResumed, SessionEnded,
    Subscribed, SubscribeRefused, Unsubscribed, PublishRefused, MessageDropped, PluginReloaded,
}

/// Lends an event to an observer.
pub(crate) fn event(observed: &Observed) -> observation::Event<'_> {
    let Observed { at, event } = observed;
    let mut lent = observation::Event {
        kind: event_kind(event.kind),
        at: *at,
        client_id: None,
        username: None,
        peer: None,
        topic: event.topic.as_deref(),
        code: event.code.map(|code| code as u8),
        reason: event.reason.as_deref(),
        plugin: None,
    };
    match &event.subject {
        Subject::Client(client) if client.transport == Transport::Internal => {
            lent.plugin = Some(&client.id);
        }
        Subject::Client(client) => {
            lent.client_id = Some(&client.id);
            lent.username = client.name.as_deref();
            lent.peer = Some(&client.peer);
        }
        Subject::Session { id, name } => {
            lent.client_id = Some(id);
            lent.username = name.as_deref();
        }
        Subject::Stranger { id, name, peer } => {
            lent.client_id = id.as_deref();
            lent.username = name.as_deref();
            lent.peer = Some(peer);
        }
        Subject::Plugin(name) => lent.plugin = Some(name),
    }
    lent
}

/// Lends a CONNECT to an authenticator. `properties` holds what cannot be lent in place.
pub(crate) fn connect<'a>(
    connecting: &'a Connecting,
    listener: &'a str,
    properties: &'a [UserPropertyParam<'a>],
    names: &'a CertificateNames<'a>,
) -> authn::Connect<'a> {
    authn::Connect {
        client_id: &connecting.client_id,
        username: connecting.username.as_deref(),
        password: connecting.password.as_deref(),
        listener,
        protocol: protocol(connecting.version),
        transport: transport(connecting.transport),
        peer: &connecting.peer,
        clean_start: connecting.clean_start,
        keep_alive: connecting.keep_alive,
        will_topic: connecting.will_topic.as_deref(),
        user_properties: properties,
        certificate: connecting.certificate.as_ref().map(|certificate| CertificateParam {
            common_name: certificate.common_name.as_deref(),
            subject: &certificate.subject,
            dns_names: &names.dns,
            uris: &names.uris,
            emails: &names.emails,
            sha256: certificate.sha256.as_ref().map_or(&[][..], |digest| &digest[..]),
        }),
    }
}

/// The lists in a certificate, which cannot be lent in place.
#[derive(Default)]
pub(crate) struct CertificateNames<'a> {
    dns: Vec<&'a str>,
    uris: Vec<&'a str>,
    emails: Vec<&'a str>,
}

pub(crate) fn certificate_names(connecting: &Connecting) -> CertificateNames<'_> {
    let Some(certificate) = &connecting.certificate else { return CertificateNames::default() };
    fn lent(names: &[String]) -> Vec<&str> {
        names.iter().map(String::as_str).collect()
    }
    CertificateNames {
        dns: lent(&certificate.dns_names),
        uris: lent(&certificate.uris),
        emails: lent(&certificate.emails),
    }
}

pub(crate) fn user_property_params(properties: &[(String, String)]) -> Vec<UserPropertyParam<'_>> {
    properties.iter().map(|(name, value)| UserPropertyParam { name, value }).collect()
}

pub(crate) fn request<'a>(request: &Request<'a>) -> authz::Request<'a> {
    authz::Request {
        action: match request.action {
            Action::Publish => authz::Action::Publish,
            Action::Subscribe => authz::Action::Subscribe,
            Action::Receive => authz::Action::Receive,
            Action::Will => authz::Action::Will,
        },
        topic: request.topic,
        share_group: request.share,
        qos: qos(request.qos),
        retain: request.retain,
    }
}

/// An authorizer's answer, none = it abstains, and for how many milliseconds it may be reused.
pub(crate) fn decision(
    decision: Result<authz::Decision, Failure>,
) -> Result<(Option<Decision>, u32), CallError> {
    let authz::Decision { answer, reuse_ms } = decision.map_err(failure)?;
    let decision = match answer {
        authz::Answer::Allow => Some(Decision::Allow),
        authz::Answer::AllowUpTo(max) => Some(Decision::AllowUpTo(core_qos(max))),
        authz::Answer::Deny(no) => Some(Decision::Deny(refusal(no)?)),
        authz::Answer::Abstain => None,
    };
    Ok((decision, reuse_ms))
}

pub(crate) fn verdict(
    verdict: Result<transformation::Verdict, Failure>,
) -> Result<Verdict, CallError> {
    Ok(match verdict.map_err(failure)? {
        transformation::Verdict::Forward => Verdict::Forward,
        transformation::Verdict::Discard => Verdict::Discard,
        transformation::Verdict::Reject(no) => Verdict::Reject(refusal(no)?),
    })
}

pub(crate) fn entrance(outcome: Result<authn::Outcome, Failure>) -> Result<Entrance, CallError> {
    Ok(match outcome.map_err(failure)? {
        authn::Outcome::Accept(accepted) => Some(Ok(identity(accepted)?)),
        authn::Outcome::Refuse(no) => Some(Err(refusal(no)?)),
        authn::Outcome::Abstain => None,
    })
}

fn failure(failure: Failure) -> CallError {
    let (permanent, text) = match failure {
        Failure::Transient(text) => (false, text),
        Failure::Permanent(text) => (true, text),
    };
    let text = text.get(..text.floor_char_boundary(1024)).unwrap_or_default();
    CallError::Failure { permanent, text: crate::host::log::printable(text).into_owned() }
}

fn invalid(what: impl Into<String>) -> CallError {
    CallError::Invalid(what.into())
}

fn refusal(refusal: types::Refusal) -> Result<Refusal, CallError> {
    let code = ReasonCode::try_from(refusal.code).ok().filter(|code| code.is_error());
    let Some(code) = code else {
        return Err(invalid(format!("0x{:02X} is not a reason code of a refusal", refusal.code)));
    };
    if refusal.reason.as_deref().is_some_and(|reason| !is_text(reason)) {
        return Err(invalid(
            "the reason of its refusal is longer than 65535 bytes or holds U+0000",
        ));
    }
    Ok(Refusal {
        code,
        reason: refusal.reason.map(String::into_boxed_str),
        user_properties: properties(&refusal.user_properties)?,
        server_reference: None,
    })
}

fn properties(properties: &[UserPropertyResult]) -> Result<UserPropertiesBuf, CallError> {
    if properties.len() > PROPERTIES_MAX {
        return Err(invalid(format!("more than {PROPERTIES_MAX} user properties")));
    }
    let mut out = UserPropertiesBuf::new();
    for property in properties {
        out.push(&property.name, &property.value)
            .map_err(|error| invalid(format!("a user property: {error}")))?;
    }
    Ok(out)
}

fn is_text(text: &str) -> bool {
    text.len() <= TEXT_MAX && !text.contains('\0')
}

fn identity(identity: identities::Identity) -> Result<Identity, CallError> {
    if identity.permissions.len() > PERMISSIONS_MAX {
        return Err(invalid(format!("more than {PERMISSIONS_MAX} permissions")));
    }
    if identity.attributes.len() > ATTRIBUTES_MAX {
        return Err(invalid(format!("more than {ATTRIBUTES_MAX} attributes")));
    }
    let attributes = identity.attributes.iter().flat_map(|(name, value)| [name, value]);
    let single = identity.name.iter().chain(&identity.response_information);
    if !attributes.chain(single).all(|text| is_text(text)) {
        return Err(invalid("a name or attribute is longer than 65535 bytes or holds U+0000"));
    }
    if identity.name.as_deref() == Some("") {
        return Err(invalid("the identity's name is empty; answer none to keep the username sent"));
    }
    Ok(Identity {
        name: identity.name,
        attributes: identity.attributes,
        permissions: identity.permissions.into_iter().map(permission).collect::<Result<_, _>>()?,
        limits: identity.limits.map(limits).unwrap_or_default(),
        expires_in: identity.expires_in,
        connack_properties: properties(&identity.connack_properties)?,
        response_information: identity.response_information,
    })
}

fn permission(permission: identities::Permission) -> Result<Permission, CallError> {
    let filter = permission.filter;
    // Variables hold neither wildcards nor separators in the end, so any plain word stands for them.
    let parsed = Filter::parse(&filter).map_err(|error| error.to_string());
    if let Err(error) = parsed.and_then(|parsed| check_variables(&parsed)) {
        return Err(invalid(format!("permission filter `{filter}`: {error}")));
    }
    Ok(Permission {
        effect: match permission.effect {
            identities::Effect::Allow => Effect::Allow,
            identities::Effect::Deny => Effect::Deny,
        },
        filter,
        actions: actions(permission.actions),
        max_qos: permission.max_qos.map(core_qos),
        retain: permission.retain,
    })
}

/// A variable that cannot be resolved would make a rule silently match nothing; for `deny` that
/// would be an open door.
fn check_variables(filter: &Filter<'_>) -> Result<(), String> {
    if filter.share().is_some() {
        return Err("leave out the $share prefix".into());
    }
    let mut rest = filter.pattern();
    while let Some((_, behind)) = rest.split_once("${") {
        let (name, behind) = behind.split_once('}').ok_or("a variable is not closed with `}`")?;
        let known = matches!(name, "client_id" | "username")
            || name.strip_prefix("attribute.").is_some_and(|name| !name.is_empty());
        if !known {
            return Err(format!("there is no variable `{name}`"));
        }
        rest = behind;
    }
    Ok(())
}

fn limits(limits: identities::Limits) -> IdentityLimits {
    IdentityLimits {
        receive_maximum: limits.receive_maximum,
        maximum_packet_size: limits.maximum_packet_size,
        session_expiry: limits.session_expiry,
        queued_messages: limits.queued_messages,
        subscriptions: limits.subscriptions,
        publish_rate: limits.publish_rate,
    }
}

fn actions(actions: types::Actions) -> Actions {
    Actions {
        publish: actions.contains(types::Actions::PUBLISH),
        subscribe: actions.contains(types::Actions::SUBSCRIBE),
        receive: actions.contains(types::Actions::RECEIVE),
    }
}

/// What `init` and `methods` answered; an error says what is wrong with it.
pub(crate) fn registration(
    said: lifecycle::Registration,
    methods: Vec<String>,
) -> Result<Registration, String> {
    check_methods(&methods)?;
    let selectors = |hook, said: Vec<lifecycle::Selector>| {
        Selectors::new(hook, said.into_iter().map(selector).collect())
    };
    Ok(Registration {
        methods,
        authorize: actions(said.authorize),
        on_publish: selectors("on-publish", said.on_publish)?,
        on_deliver: selectors("on-deliver", said.on_deliver)?,
        events: said.events.into_iter().map(kind).collect(),
        tick_every: tick_every(said.tick_every)?,
    })
}

fn selector(selector: lifecycle::Selector) -> Selector {
    Selector {
        filters: selector.filters,
        user_property: selector.user_property,
        min_payload: selector.min_payload,
        max_payload: selector.max_payload,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no(code: u8) -> types::Refusal {
        types::Refusal { code, reason: None, user_properties: Vec::new() }
    }

    fn accepted() -> identities::Identity {
        identities::Identity {
            name: Some("alice".into()),
            attributes: Vec::new(),
            permissions: Vec::new(),
            limits: None,
            expires_in: Some(60),
            connack_properties: Vec::new(),
            response_information: None,
        }
    }

    fn allowed(filter: &str) -> identities::Permission {
        identities::Permission {
            effect: identities::Effect::Allow,
            filter: filter.into(),
            actions: types::Actions::PUBLISH | types::Actions::RECEIVE,
            max_qos: Some(Qos::AtLeastOnce),
            retain: Some(false),
        }
    }

    #[test]
    fn a_refusal_keeps_its_code_reason_and_properties() {
        let property = UserPropertyResult { name: "why".into(), value: "late".into() };
        let said = types::Refusal {
            code: 0x87,
            reason: Some("too late".into()),
            user_properties: vec![property],
        };
        let refusal = refusal(said).unwrap();
        assert_eq!(refusal.code, ReasonCode::NotAuthorized);
        assert_eq!(refusal.reason.as_deref(), Some("too late"));
        assert_eq!(refusal.user_properties.as_view().get("why"), Some("late"));
    }

    #[test]
    fn a_success_or_unknown_code_is_no_refusal() {
        for code in [0x00, 0x02, 0x10, 0x7f, 0xff] {
            assert!(matches!(refusal(no(code)), Err(CallError::Invalid(_))), "{code:#x}");
        }
    }

    #[test]
    fn a_permission_is_taken_over_field_by_field() {
        let identity = identity(identities::Identity {
            permissions: vec![allowed("a/${username}/#")],
            ..accepted()
        });
        let expected = Permission {
            effect: Effect::Allow,
            filter: "a/${username}/#".into(),
            actions: Actions { publish: true, subscribe: false, receive: true },
            max_qos: Some(QoS::AtLeastOnce),
            retain: Some(false),
        };
        assert_eq!(identity.unwrap().permissions, [expected]);
    }

    #[test]
    fn an_identity_with_a_filter_that_cannot_work_is_refused() {
        for filter in ["a/#/b", "", "$share/g/a", "${nobody}", "${username", "${attribute.}"] {
            let said = identities::Identity { permissions: vec![allowed(filter)], ..accepted() };
            assert!(matches!(identity(said), Err(CallError::Invalid(_))), "{filter}");
        }
    }

    #[test]
    fn an_identity_is_bounded() {
        let permissions =
            |n| identities::Identity { permissions: vec![allowed("a"); n], ..accepted() };
        assert!(identity(permissions(PERMISSIONS_MAX)).is_ok());
        assert!(identity(permissions(PERMISSIONS_MAX + 1)).is_err());
        let attribute = || (String::from("k"), String::from("v"));
        let attributes =
            |n| identities::Identity { attributes: vec![attribute(); n], ..accepted() };
        assert!(identity(attributes(ATTRIBUTES_MAX)).is_ok());
        assert!(identity(attributes(ATTRIBUTES_MAX + 1)).is_err());
        let name = |n| identities::Identity { name: Some("x".repeat(n)), ..accepted() };
        assert!(identity(name(TEXT_MAX)).is_ok());
        assert!(identity(name(TEXT_MAX + 1)).is_err());
        assert!(identity(name(0)).is_err());
    }

    #[test]
    fn failures_keep_their_words_on_one_line() {
        let error = failure(Failure::Transient("db\nis down".into()));
        assert_eq!(error, CallError::Failure { permanent: false, text: "db is down".into() });
    }
}
