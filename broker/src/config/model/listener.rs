//! `[[listener]]`: an address, who is asked about its clients, and what they are offered.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use super::{Limits, Location, Network, Tls};

/// `[[listener]]`: one address clients connect to, and who is asked about them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// 1 to 64 letters, digits, `-` and `_`; unique. Required.
    pub name: String,
    /// Default tcp.
    pub protocol: Protocol,
    /// Required.
    pub bind: Bind,
    /// Who may connect to a Unix socket, as permissions of its file. Default 0o660.
    pub socket_mode: u32,
    /// What a WebSocket is given to; of `ws` and `wss` only.
    pub websocket: WebSocket,
    /// Always there with `tls` and `wss`, and only there.
    pub tls: Option<Tls>,
    /// Whether those who come from `trusted_proxies` say for whom. Default none.
    pub proxy_protocol: ProxyProtocol,
    /// Who may say for whom it speaks. At most 64. Default nobody.
    pub trusted_proxies: Vec<Network>,
    /// Whether a client that no authenticator refused may enter without a name. Default false.
    pub anonymous: bool,
    /// Plugin names, in the order they are asked. Default none.
    pub authenticate: Vec<String>,
    /// Plugin names, in the order they are asked. Default none.
    pub authorize: Vec<String>,
    /// Plugin names, each sees what the one before it made. Default none.
    pub transform: Vec<String>,
    /// The answer when every authorizer abstained, or there is none. Default deny.
    pub default: DefaultAnswer,
    /// What a 3.1 or 3.1.1 client sees of a publication that was denied; MQTT 5 clients get a reason code.
    /// Default acknowledge.
    pub on_denied_publish: OnDeniedPublish,
    /// Where its clients are sent instead of being let in. Default nowhere.
    pub redirect: Option<Redirect>,
    /// What of MQTT its clients are offered.
    pub features: Features,
    /// The effective limits: `[limits]`, tightened by `[listener.limits]`.
    pub limits: Limits,
    /// Where it is configured.
    pub location: Location,
}

impl Default for Listener {
    fn default() -> Self {
        Self {
            name: "mqtt".into(),
            protocol: Protocol::Tcp,
            bind: Bind::Network(SocketAddr::from((Ipv4Addr::LOCALHOST, 1883))),
            socket_mode: 0o660,
            tls: None,
            proxy_protocol: ProxyProtocol::None,
            websocket: WebSocket::default(),
            trusted_proxies: Vec::new(),
            anonymous: false,
            authenticate: Vec::new(),
            authorize: Vec::new(),
            transform: Vec::new(),
            default: DefaultAnswer::Deny,
            on_denied_publish: OnDeniedPublish::Acknowledge,
            redirect: None,
            features: Features::default(),
            limits: Limits::default(),
            location: Location::default(),
        }
    }
}

impl Listener {
    /// The three chains under the names of their keys.
    pub fn chains(&self) -> [(&'static str, &[String]); 3] {
        [
            ("authenticate", &self.authenticate),
            ("authorize", &self.authorize),
            ("transform", &self.transform),
        ]
    }
}

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bind {
    /// Port 0 lets the system choose one.
    Network(SocketAddr),
    /// A Unix domain socket.
    Path(PathBuf),
}

impl Bind {
    /// Whether nobody on another machine can come from there.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Network(address) => address.ip().to_canonical().is_loopback(),
            Self::Path(_) => true,
        }
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(address) => address.fmt(f),
            Self::Path(path) => path.display().fmt(f),
        }
    }
}

/// `listener.websocket`: who may upgrade, and how much may come at once. New connections get what a reload changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSocket {
    /// Where it is; begins with `/`. Default `/mqtt`.
    pub path: String,
    /// The pages that browsers may connect from, as in `https://app.example.org`; none = all. At most 64. Default none.
    pub origins: Vec<String>,
    /// Bytes of one message, in one frame or in several. 1 KiB to 1 GiB. Default 16 MiB.
    pub max_message_size: u64,
}

impl Default for WebSocket {
    fn default() -> Self {
        Self { path: "/mqtt".into(), origins: Vec::new(), max_message_size: 16 << 20 }
    }
}

/// `listener.redirect`: another server, for newcomers and, if wanted, for those who are connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// As clients are told: names or addresses, each with or without a port. Required.
    pub to: String,
    /// Whether it is for good (0x9D) rather than for a while (0x9C). Default false.
    pub permanent: bool,
    /// Time within which those who are connected are sent there, evenly, whole seconds; zero = they stay. At most 24 h.
    /// Default zero.
    pub move_within: Duration,
}

/// The switches of `[[listener]]`. New connections get what a reload changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Features {
    /// Versions that are taken; at least one. Default all.
    pub protocols: Vec<Version>,
    /// The highest QoS of a publication, a will or a subscription. 0 to 2. Default 2.
    pub max_qos: u8,
    /// Whether messages are retained for, and retained ones sent to, its clients. Default true.
    pub retain: bool,
    /// Default true.
    pub wildcard_subscriptions: bool,
    /// Default true.
    pub subscription_identifiers: bool,
    /// Default true.
    pub shared_subscriptions: bool,
    /// Whether a payload that is declared to be UTF-8 must be. Default true.
    pub validate_payload_format: bool,
    /// What becomes of a client whose identifier is connected. Default take-over.
    pub on_duplicate_client_id: OnDuplicate,
    /// Whether client identifiers and user names may hold `+`, `#`, `/` and control characters. Default true.
    pub unsafe_client_ids: bool,
    /// Whether its clients get a retained message only while whoever published it may still do so. Default true.
    pub check_retained_source: bool,
}

impl Default for Features {
    fn default() -> Self {
        Self {
            protocols: Version::WORDS.iter().map(|(_, version)| *version).collect(),
            max_qos: 2,
            retain: true,
            wildcard_subscriptions: true,
            subscription_identifiers: true,
            shared_subscriptions: true,
            validate_payload_format: true,
            on_duplicate_client_id: OnDuplicate::TakeOver,
            unsafe_client_ids: true,
            check_retained_source: true,
        }
    }
}

/// One switch of [`Features`], without its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) enum Switch {
    Flag(bool),
    Number(u8),
    Word(&'static str),
    Words(Vec<&'static str>),
}

impl Features {
    /// Every switch under its name, in the order of the annotated default configuration.
    pub(in crate::config) fn entries(&self) -> [(&'static str, Switch); 10] {
        // No `..`: a new switch that is not listed here does not compile.
        let Self {
            protocols,
            max_qos,
            retain,
            wildcard_subscriptions,
            subscription_identifiers,
            shared_subscriptions,
            validate_payload_format,
            on_duplicate_client_id,
            unsafe_client_ids,
            check_retained_source,
        } = self;
        let words = protocols.iter().map(|version| version.as_str()).collect();
        [
            ("protocols", Switch::Words(words)),
            ("max_qos", Switch::Number(*max_qos)),
            ("retain", Switch::Flag(*retain)),
            ("wildcard_subscriptions", Switch::Flag(*wildcard_subscriptions)),
            ("subscription_identifiers", Switch::Flag(*subscription_identifiers)),
            ("shared_subscriptions", Switch::Flag(*shared_subscriptions)),
            ("validate_payload_format", Switch::Flag(*validate_payload_format)),
            ("on_duplicate_client_id", Switch::Word(on_duplicate_client_id.as_str())),
            ("unsafe_client_ids", Switch::Flag(*unsafe_client_ids)),
            ("check_retained_source", Switch::Flag(*check_retained_source)),
        ]
    }
}

words! {
    /// What fills in the keys of a listener that are not written. It leaves no other trace.
    Preset {
        /// Everybody may do everything.
        Open = "open",
        /// The limits of Azure Event Grid.
        EventGrid = "event-grid",
        /// The limits of AWS IoT Core.
        IotCore = "iot-core",
    }
}

words! {
    /// What becomes of a client whose identifier is connected.
    OnDuplicate {
        /// It gets the session, and the connection that had it is closed.
        TakeOver = "take-over",
        /// It is refused.
        Refuse = "refuse",
    }
}

words! {
    /// A version of MQTT.
    Version {
        /// MQTT 3.1.
        V31 = "3.1",
        /// MQTT 3.1.1.
        V311 = "3.1.1",
        /// MQTT 5.0.
        V5 = "5.0",
    }
}

words! {
    /// What a listener speaks below MQTT.
    Protocol {
        /// MQTT on TCP, in the clear.
        Tcp = "tcp",
        /// MQTT in the binary frames of a WebSocket, in the clear.
        Ws = "ws",
        /// MQTT in TLS.
        Tls = "tls",
        /// MQTT in the binary frames of a WebSocket in TLS.
        Wss = "wss",
        /// MQTT on a Unix domain socket.
        Unix = "unix",
    }
}

impl Protocol {
    /// Whether its packets are in the frames of a WebSocket.
    pub fn is_websocket(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }

    /// Whether everything is sealed.
    pub fn is_tls(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }
}

words! {
    /// What a proxy says by the PROXY protocol, version 1 or 2.
    ProxyProtocol {
        /// Nothing: who connects is the client.
        None = "none",
        /// The address of the client and, for authenticators, the common name of its certificate.
        Address = "address",
        /// Besides, the common name is the name of the client.
        Name = "name",
    }
}

words! {
    /// A listener's answer when no authorizer had one.
    DefaultAnswer {
        /// The request is refused.
        Deny = "deny",
        /// The request is granted.
        Allow = "allow",
    }
}

words! {
    /// What a client without reason codes sees of a publication that was denied.
    OnDeniedPublish {
        /// It is acknowledged like any other, and dropped.
        Acknowledge = "acknowledge",
        /// The connection is closed.
        Disconnect = "disconnect",
    }
}
