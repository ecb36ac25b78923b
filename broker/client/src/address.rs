//! URLs of brokers: who, where, how and about what.

use percent_encoding::percent_decode_str;

/// What a URL can say: `mqtt(s)://` or `ws(s)://`, `[USER[:PASSWORD]@]HOST[:PORT][/TOPIC]`; of a WebSocket the rest is
/// the path instead of a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) secure: bool,
    pub(crate) websocket: bool,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    /// Behind the slash, if there is one.
    pub(crate) rest: Option<String>,
}

impl Url {
    /// Reads a URL.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        const FORM: &str =
            "write mqtt://[USER[:PASSWORD]@]HOST[:PORT]/TOPIC, or mqtts://, ws:// or wss://";
        let (scheme, rest) = text.split_once("://").ok_or(FORM)?;
        let (secure, websocket) = match scheme {
            "mqtt" | "tcp" => (false, false),
            "mqtts" | "ssl" | "tls" => (true, false),
            "ws" => (false, true),
            "wss" => (true, true),
            _ => return Err(format!("`{scheme}` is no scheme of MQTT; {FORM}")),
        };
        let (authority, rest) = match rest.split_once('/') {
            Some((authority, rest)) => (authority, Some(rest.to_owned())),
            None => (rest, None),
        };
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority),
        };
        let (username, password) = match user.map(|user| user.split_once(':')) {
            None => (None, None),
            Some(None) => (user.map(decode).transpose()?, None),
            Some(Some((name, password))) => (Some(decode(name)?), Some(decode(password)?)),
        };
        let (host, port) = host_and_port(place)?;
        if host.is_empty() {
            return Err(format!("there is no host; {FORM}"));
        }
        Ok(Self { secure, websocket, username, password, host, port, rest })
    }
}

fn decode(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| "user name and password must be UTF-8".to_owned())
}

/// An IPv6 address stands in brackets.
fn host_and_port(place: &str) -> Result<(String, Option<u16>), String> {
    let (host, port) = match place.strip_prefix('[').and_then(|place| place.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let port = port.map(|port| port.parse().map_err(|_| format!("`{port}` is no port")));
    Ok((host.to_owned(), port.transpose()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_everything_or_little() {
        let all = Url::parse("mqtts://al%40ice:s:e%2Fcret@[::1]:8884/a/#").unwrap();
        assert_eq!(
            all,
            Url {
                secure: true,
                websocket: false,
                username: Some("al@ice".into()),
                password: Some("s:e/cret".into()),
                host: "::1".into(),
                port: Some(8884),
                rest: Some("a/#".into()),
            }
        );
        let little = Url::parse("ws://broker").unwrap();
        let expected = Url { websocket: true, host: "broker".into(), ..Url::default() };
        assert_eq!(little, expected);
    }

    #[test]
    fn what_is_no_url_is_told() {
        for (text, told) in [
            ("broker:1883", "write mqtt://"),
            ("http://broker/t", "no scheme of MQTT"),
            ("mqtt:///t", "no host"),
            ("mqtt://broker:123456/t", "no port"),
            ("mqtt://%ff@broker/t", "UTF-8"),
        ] {
            let error = Url::parse(text).unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
