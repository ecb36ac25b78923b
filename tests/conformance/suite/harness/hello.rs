//! CONNECT, as a client that means well writes it.

use super::packet::{Version, binary, frame, text};
use super::prop::Prop;

/// What a client says first.
#[derive(Clone, Debug)]
pub(crate) struct Hello {
    pub(crate) version: Version,
    pub(crate) id: String,
    pub(crate) clean: bool,
    pub(crate) keep_alive: u16,
    pub(crate) props: Vec<Prop>,
    pub(crate) will: Option<Will>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Vec<u8>>,
}

/// What it leaves behind.
#[derive(Clone, Debug)]
pub(crate) struct Will {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) props: Vec<Prop>,
}

impl Will {
    pub(crate) fn new(topic: &str, payload: &str, qos: u8) -> Self {
        let (topic, payload) = (topic.to_owned(), payload.as_bytes().to_vec());
        Self { topic, payload, qos, retain: false, props: Vec::new() }
    }

    pub(crate) fn retained(self) -> Self {
        Self { retain: true, ..self }
    }

    pub(crate) fn with(mut self, prop: Prop) -> Self {
        self.props.push(prop);
        self
    }
}

impl Hello {
    /// A clean start without keep alive.
    pub(crate) fn new(version: Version, id: &str) -> Self {
        Self {
            version,
            id: id.to_owned(),
            clean: true,
            keep_alive: 0,
            props: Vec::new(),
            will: None,
            username: None,
            password: None,
        }
    }

    /// Takes up the session of this client identifier, which is to outlive the connection by `seconds`; before 5.0
    /// it always does.
    pub(crate) fn resume(version: Version, id: &str, seconds: u32) -> Self {
        let mut hello = Self::new(version, id).not_clean();
        if version == Version::V5 {
            hello.props.push(super::prop::session_expiry(seconds));
        }
        hello
    }

    pub(crate) fn not_clean(self) -> Self {
        Self { clean: false, ..self }
    }

    pub(crate) fn clean(self) -> Self {
        Self { clean: true, ..self }
    }

    pub(crate) fn keep_alive(self, seconds: u16) -> Self {
        Self { keep_alive: seconds, ..self }
    }

    pub(crate) fn with(mut self, prop: Prop) -> Self {
        self.props.push(prop);
        self
    }

    pub(crate) fn will(self, will: Will) -> Self {
        Self { will: Some(will), ..self }
    }

    pub(crate) fn login(self, username: Option<&str>, password: Option<&[u8]>) -> Self {
        let username = username.map(str::to_owned);
        Self { username, password: password.map(<[u8]>::to_vec), ..self }
    }

    pub(crate) fn flags(&self) -> u8 {
        let mut flags = u8::from(self.clean) << 1;
        if let Some(will) = &self.will {
            flags |= 0x04 | will.qos << 3 | u8::from(will.retain) << 5;
        }
        flags | u8::from(self.password.is_some()) << 6 | u8::from(self.username.is_some()) << 7
    }

    /// Everything behind the variable header.
    pub(crate) fn payload(&self) -> Vec<u8> {
        let mut out = text(&self.id);
        if let Some(will) = &self.will {
            out.extend(self.version.block(&will.props));
            out.extend(text(&will.topic));
            out.extend(binary(&will.payload));
        }
        out.extend(self.username.as_deref().map(text).unwrap_or_default());
        out.extend(self.password.as_deref().map(binary).unwrap_or_default());
        out
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        connect("MQTT", self.version.level(), self.flags(), &self.body())
    }

    /// Everything behind the flags.
    pub(crate) fn body(&self) -> Vec<u8> {
        let block = self.version.block(&self.props);
        [&self.keep_alive.to_be_bytes(), &block[..], &self.payload()].concat()
    }
}

/// A CONNECT, valid or not.
pub(crate) fn connect(name: &str, level: u8, flags: u8, rest: &[u8]) -> Vec<u8> {
    frame(0x10, &[&text(name), &[level, flags], rest])
}

/// A CONNECT with these flags and more fields than they can ask for.
pub(crate) fn connect_like(version: Version, flags: u8) -> Vec<u8> {
    let block = version.block(&[]);
    let fields =
        [&text("id")[..], &block, &text("topic"), &text("payload"), &text("u"), &text("p")];
    connect("MQTT", version.level(), flags, &[&[0, 0], &block[..], &fields.concat()].concat())
}
