//! The options that both commands have, and the plan that follows from them.

use std::io::{BufRead as _, IsTerminal as _};
use std::net::IpAddr;
use std::path::PathBuf;

use clap::{ArgAction, Args};
use rustls::SupportedProtocolVersion;
use wasmqtt_codec::{QoS, Topic, Version};

use crate::address::Url;
use crate::dial::{Place, Way};
use crate::enter::{LastWill, Plan};
use crate::failure::Failure;
use crate::property::Properties;
use crate::tls::{self, Settings, Tls};

const HOST: &str = "localhost";
const PORT: u16 = 1883;
const TLS_PORT: u16 = 8883;
/// Where brokers usually have their WebSocket.
const WEBSOCKET_PATH: &str = "/mqtt";
/// For passwords that nobody should see among the arguments.
const PASSWORD: &str = "WASMQTT_PASSWORD";

/// Words for both commands.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Options {
    /// Where the broker is: a name or an address [default: localhost]
    #[arg(short = 'h', long, value_name = "HOST", conflicts_with_all = ["url", "unix"])]
    host: Option<String>,
    /// [default: 1883; 8883 with TLS; of WebSockets 80 and 443]
    #[arg(short, long, value_name = "PORT", conflicts_with_all = ["url", "unix"])]
    port: Option<u16>,
    /// All at once: mqtt(s)://[USER[:PASSWORD]@]HOST[:PORT]/TOPIC, or ws(s)://...HOST[:PORT]/PATH
    #[arg(short = 'L', long, value_name = "URL", value_parser = Url::parse, conflicts_with = "unix")]
    url: Option<Url>,
    /// A Unix socket
    #[arg(long, value_name = "PATH")]
    unix: Option<PathBuf>,
    /// By WebSocket [PATH without a value: /mqtt]
    #[arg(long, value_name = "PATH", num_args = 0..=1, default_missing_value = WEBSOCKET_PATH)]
    ws: Option<String>,
    /// The address of this machine to come from
    #[arg(short = 'A', value_name = "ADDRESS")]
    from: Option<IpAddr>,
    /// Nothing: packets are never held back here
    #[arg(long, hide = true)]
    nodelay: bool,
    /// Version of MQTT: 5, 3.1.1 or 3.1; also as mqttv5, mqttv311, 311 and so on
    #[arg(short = 'V', long = "protocol-version", value_name = "VERSION", default_value = "5", value_parser = version)]
    version: Version,
    /// Seconds between signs of life; 0 is none
    #[arg(short, long, value_name = "SECONDS", default_value_t = 60)]
    keepalive: u16,
    /// Client identifier [default: the broker chooses]
    #[arg(short, long, value_name = "ID", allow_hyphen_values = true)]
    id: Option<String>,
    /// Client identifier: this and the number of the process
    #[arg(short = 'I', long, value_name = "PREFIX", conflicts_with = "id")]
    id_prefix: Option<String>,
    /// Keep the session, or go on with the one that is kept; wants an identifier
    #[arg(short = 'c', long)]
    disable_clean_session: bool,
    /// Seconds that the session outlives the connection, MQTT 5 only; -1 is forever, as with -c [default: 0]
    #[arg(short = 'x', value_name = "SECONDS", value_parser = expiry, allow_negative_numbers = true)]
    session_expiry: Option<u32>,
    #[command(flatten)]
    properties: Properties,
    /// Show on standard error what is sent and received
    #[arg(short, long)]
    debug: bool,
    /// Nothing on standard error
    #[arg(long)]
    quiet: bool,
    #[command(flatten)]
    user: User,
    #[command(flatten)]
    tls: TlsOptions,
    #[command(flatten)]
    will: WillOptions,
    /// Print help
    #[arg(long, action = ArgAction::Help, help_heading = "Options")]
    help: Option<bool>,
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "User")]
struct User {
    /// User name
    #[arg(short, long, value_name = "NAME", allow_hyphen_values = true)]
    username: Option<String>,
    /// Password. Others on this machine can see it among the arguments; rather use one of the following, or the
    /// environment's WASMQTT_PASSWORD
    #[arg(short = 'P', long = "pw", value_name = "PASSWORD", allow_hyphen_values = true)]
    password: Option<String>,
    /// A file whose first line is the password
    #[arg(long, value_name = "FILE", conflicts_with = "password")]
    password_file: Option<PathBuf>,
    /// Ask for the password
    #[arg(long, conflicts_with_all = ["password", "password_file"])]
    ask_password: bool,
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "TLS")]
struct TlsOptions {
    /// Use TLS; so does each of the following, and port 8883. Without --cafile and --capath those authorities are
    /// trusted that browsers trust
    #[arg(long, alias = "tls-use-os-certs")]
    tls: bool,
    /// Authorities to trust, as PEM
    #[arg(long, value_name = "FILE")]
    cafile: Option<PathBuf>,
    /// A directory with authorities to trust, as PEM
    #[arg(long, value_name = "DIRECTORY")]
    capath: Option<PathBuf>,
    /// Certificate to show, as PEM
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// Its key, as PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// tlsv1.2 or tlsv1.3, and no other [default: the newest that the broker has]
    #[arg(long, value_name = "VERSION", value_parser = tls::version)]
    tls_version: Option<&'static SupportedProtocolVersion>,
    /// What to speak, for brokers that share their port with others
    #[arg(long, value_name = "PROTOCOL", alias = "alpn")]
    tls_alpn: Option<String>,
    /// Accept a certificate for another host
    #[arg(long)]
    insecure: bool,
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Will")]
struct WillOptions {
    /// Where the broker says that this client is gone without a farewell
    #[arg(long, value_name = "TOPIC", value_parser = topic)]
    will_topic: Option<String>,
    /// What it says [default: nothing]
    #[arg(long, value_name = "MESSAGE", requires = "will_topic", allow_hyphen_values = true)]
    will_payload: Option<String>,
    /// Its QoS
    #[arg(long, value_name = "QOS", requires = "will_topic", value_parser = qos)]
    will_qos: Option<QoS>,
    /// Whether it is retained
    #[arg(long, requires = "will_topic")]
    will_retain: bool,
}

/// Reads a QoS.
pub(crate) fn qos(text: &str) -> Result<QoS, String> {
    match text {
        "0" => Ok(QoS::AtMostOnce),
        "1" => Ok(QoS::AtLeastOnce),
        "2" => Ok(QoS::ExactlyOnce),
        _ => Err("write 0, 1 or 2".into()),
    }
}

/// Reads a topic name.
pub(crate) fn topic(text: &str) -> Result<String, String> {
    Topic::parse(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

fn version(text: &str) -> Result<Version, String> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let bare = text.trim_start_matches("mqttv").chars().all(|c| c.is_ascii_digit() || c == '.');
    match digits.as_str() {
        "5" | "50" if bare => Ok(Version::V5),
        "311" if bare => Ok(Version::V311),
        "31" if bare => Ok(Version::V31),
        _ => Err("write 5, 3.1.1 or 3.1".into()),
    }
}

fn expiry(text: &str) -> Result<u32, String> {
    match text {
        "-1" | "∞" => Ok(u32::MAX),
        _ => text.parse().map_err(|_| "write seconds, or -1 for ever".into()),
    }
}

impl Options {
    /// What a URL has behind the host, if it is a topic.
    pub(crate) fn topic(&self) -> Option<&str> {
        let url = self.url.as_ref().filter(|url| !url.websocket)?;
        url.rest.as_deref().filter(|topic| !topic.is_empty())
    }

    pub(crate) const fn version(&self) -> Version {
        self.version
    }

    pub(crate) const fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether the session outlives the connection.
    fn keeps_session(&self) -> bool {
        self.disable_clean_session
    }

    /// Everything that a connection begins with; asks for the password where that is wanted.
    pub(crate) fn plan(&self) -> Result<Plan, Failure> {
        let mut properties = self.properties.clone();
        if properties.given && self.version != Version::V5 {
            let told = format!("MQTT {} has no properties; -D wants -V 5", self.version);
            return Err(Failure::error(told));
        }
        let forever = self.keeps_session().then_some(u32::MAX);
        let expiry = self.session_expiry.or(properties.connect.session_expiry).or(forever);
        properties.connect.session_expiry = expiry;
        let client_id = match (&self.id, &self.id_prefix) {
            (Some(id), _) => id.clone(),
            (None, Some(prefix)) => format!("{prefix}{}", std::process::id()),
            (None, None) if self.keeps_session() => {
                return Err(Failure::error("a session that is kept (-c) wants an identifier (-i)"));
            }
            // Only later versions let the broker choose.
            (None, None) if self.version == Version::V31 => {
                format!("wasmqtt-{}", std::process::id())
            }
            (None, None) => String::new(),
        };
        let url = self.url.as_ref();
        let username = self.user.username.clone();
        let username = username.or_else(|| url.and_then(|url| url.username.clone()));
        let password = self.password()?;
        if password.is_some() && username.is_none() && self.version != Version::V5 {
            let told = format!("MQTT {} has no password without a user name (-u)", self.version);
            return Err(Failure::error(told));
        }
        Ok(Plan {
            way: self.way()?,
            version: self.version,
            client_id,
            username,
            password,
            clean: !self.keeps_session(),
            keep_alive: self.keepalive,
            will: self.will.plan(),
            properties,
            verbose: self.debug && !self.quiet,
        })
    }

    fn password(&self) -> Result<Option<Vec<u8>>, Failure> {
        let user = &self.user;
        if let Some(password) = &user.password {
            return Ok(Some(password.clone().into()));
        }
        if let Some(file) = &user.password_file {
            let cannot = |error| Failure::error(format!("cannot read {}: {error}", file.display()));
            let text = std::fs::read(file).map_err(cannot)?;
            let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
            return Ok(Some(line.strip_suffix(b"\r").unwrap_or(line).to_vec()));
        }
        if user.ask_password {
            return ask().map(Some);
        }
        if let Some(password) = self.url.as_ref().and_then(|url| url.password.clone()) {
            return Ok(Some(password.into()));
        }
        // Where there is no user name, the environment is probably meant for another call.
        let password = std::env::var_os(PASSWORD).filter(|_| {
            user.username.is_some() || self.url.as_ref().is_some_and(|url| url.username.is_some())
        });
        Ok(password.map(std::os::unix::ffi::OsStringExt::into_vec))
    }

    fn way(&self) -> Result<Way, Failure> {
        let url = self.url.as_ref();
        let websocket = match (&self.ws, url.filter(|url| url.websocket)) {
            (Some(path), _) => Some(path.clone()),
            (None, Some(url)) => Some(match url.rest.as_deref() {
                None | Some("") => WEBSOCKET_PATH.to_owned(),
                Some(path) => format!("/{path}"),
            }),
            (None, None) => None,
        };
        let port = self.port.or(url.and_then(|url| url.port));
        let secure = self.tls.is_wanted()
            || url.is_some_and(|url| url.secure)
            || (port == Some(TLS_PORT) && self.unix.is_none());
        let usual = match (websocket.is_some(), secure) {
            (false, false) => PORT,
            (false, true) => TLS_PORT,
            (true, false) => 80,
            (true, true) => 443,
        };
        let place = match &self.unix {
            Some(path) => Place::Unix(path.clone()),
            None => Place::Tcp {
                host: self.host.clone().or(url.map(|url| url.host.clone())).unwrap_or(HOST.into()),
                port: port.unwrap_or(usual),
                from: self.from,
            },
        };
        let tls = secure.then(|| Tls::new(&self.tls.settings())).transpose()?;
        Ok(Way { place, tls, websocket })
    }
}

impl TlsOptions {
    const fn is_wanted(&self) -> bool {
        self.tls
            || self.cafile.is_some()
            || self.capath.is_some()
            || self.cert.is_some()
            || self.tls_version.is_some()
            || self.tls_alpn.is_some()
            || self.insecure
    }

    fn settings(&self) -> Settings {
        Settings {
            ca_file: self.cafile.clone(),
            ca_path: self.capath.clone(),
            shows: self.cert.clone().zip(self.key.clone()),
            version: self.tls_version,
            alpn: self.tls_alpn.clone(),
            any_name: self.insecure,
        }
    }
}

impl WillOptions {
    fn plan(&self) -> Option<LastWill> {
        Some(LastWill {
            topic: self.will_topic.clone()?,
            payload: self.will_payload.clone().unwrap_or_default().into(),
            qos: self.will_qos.unwrap_or(QoS::AtMostOnce),
            retain: self.will_retain,
        })
    }
}

/// From the terminal without an echo, else the first line of standard input.
fn ask() -> Result<Vec<u8>, Failure> {
    let cannot = |error| Failure::error(format!("cannot read the password: {error}"));
    if std::io::stdin().is_terminal() {
        return Ok(rpassword::prompt_password("Password: ").map_err(cannot)?.into_bytes());
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(cannot)?;
    Ok(line.trim_end_matches(['\r', '\n']).as_bytes().to_vec())
}
