//! The PROXY protocol, versions 1 and 2: a proxy says for whom it speaks, before anything else.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// How version 2 begins.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes up to the length of version 2, and its least.
const HEAD: usize = 16;
/// Bytes of the longest line of version 1, its end included.
const LINE: usize = 107;
/// Bytes that may follow the head of version 2. Addresses of the longest kind are 216.
const MAX_BODY: usize = 4096;
const SSL: u8 = 0x20;
const SSL_COMMON_NAME: u8 = 0x22;
/// A certificate was shown, in this connection or in the one that it resumes.
const SHOWN: u8 = 0x02 | 0x04;

/// For whom a proxy speaks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Header {
    /// Whose address; none = the proxy's own, as with a health check.
    pub(crate) source: Option<SocketAddr>,
    /// The common name of the certificate that the client showed to the proxy, which verified it.
    pub(crate) common_name: Option<String>,
}

/// What bytes come to.
#[derive(Debug, PartialEq, Eq)]
enum Progress {
    /// So many more, at least, belong to the header.
    Need(usize),
    Whole(Header),
}

/// Whether a stream that begins like this begins with a header. Neither MQTT nor TLS nor HTTP does.
pub(crate) fn begins(first: u8) -> bool {
    first == b'P' || Some(&first) == SIGNATURE.first()
}

/// Reads a header and not a byte more.
///
/// # Errors
/// What is wrong with it.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Header, String> {
    let mut bytes = Vec::with_capacity(LINE);
    loop {
        match parse(&bytes)? {
            Progress::Whole(header) => return Ok(header),
            Progress::Need(more) => {
                let before = bytes.len();
                bytes.resize(before + more, 0);
                let rest = bytes.get_mut(before..).unwrap_or_default();
                stream.read_exact(rest).await.map_err(|error| lost(&error))?;
            }
        }
    }
}

fn lost(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the PROXY header is cut off".to_owned(),
        _ => error.to_string(),
    }
}

fn parse(bytes: &[u8]) -> Result<Progress, &'static str> {
    let common = bytes.len().min(SIGNATURE.len());
    if bytes.get(..common) == SIGNATURE.get(..common) && common > 0 {
        return version_2(bytes);
    }
    let common = bytes.len().min(6);
    if bytes.get(..common) != b"PROXY ".get(..common) {
        return Err("there is no PROXY header");
    }
    version_1(bytes)
}

fn version_1(bytes: &[u8]) -> Result<Progress, &'static str> {
    let Some(line) = bytes.strip_suffix(b"\r\n") else {
        // The shortest line is "PROXY UNKNOWN\r\n". Then it ends at the first line feed, wherever that is.
        return match bytes.len() {
            0 => Ok(Progress::Need(6)),
            1..13 => Ok(Progress::Need(13 - bytes.len())),
            LINE.. => Err("the PROXY header is too long"),
            _ if bytes.contains(&b'\n') => Err("the PROXY header is not as it must be"),
            _ => Ok(Progress::Need(1)),
        };
    };
    let malformed = "the PROXY header is not as it must be";
    let line = std::str::from_utf8(line).map_err(|_| malformed)?;
    let words: Vec<&str> = line.split(' ').collect();
    let source = match words[..] {
        ["PROXY", "UNKNOWN", ..] => None,
        ["PROXY", family @ ("TCP4" | "TCP6"), source, destination, source_port, port] => {
            let address = |text: &str| -> Result<IpAddr, &'static str> {
                match family {
                    "TCP4" => text.parse::<Ipv4Addr>().map(IpAddr::V4).map_err(|_| malformed),
                    _ => text.parse::<Ipv6Addr>().map(IpAddr::V6).map_err(|_| malformed),
                }
            };
            address(destination)?;
            port.parse::<u16>().map_err(|_| malformed)?;
            let port = source_port.parse().map_err(|_| malformed)?;
            Some(SocketAddr::new(address(source)?, port))
        }
        _ => return Err(malformed),
    };
    Ok(Progress::Whole(Header { source, common_name: None }))
}

fn version_2(bytes: &[u8]) -> Result<Progress, &'static str> {
    let Some((head, body)) = bytes.split_first_chunk::<HEAD>() else {
        return Ok(Progress::Need(HEAD - bytes.len()));
    };
    let [.., command, family, high, low] = *head;
    let len = usize::from(u16::from_be_bytes([high, low]));
    if len > MAX_BODY {
        return Err("the PROXY header is too long");
    }
    if body.len() < len {
        return Ok(Progress::Need(len - body.len()));
    }
    match command {
        // The proxy itself, which wants to know whether anybody is here.
        0x20 => return Ok(Progress::Whole(Header::default())),
        0x21 => {}
        _ => return Err("the PROXY header is of an unknown version or command"),
    }
    let mut body = Body(body);
    let source = match family {
        0x11 => {
            let source: [u8; 4] = body.array()?;
            body.array::<4>()?;
            Some((IpAddr::from(source), body.port()?))
        }
        0x21 => {
            let source: [u8; 16] = body.array()?;
            body.array::<16>()?;
            Some((IpAddr::from(source), body.port()?))
        }
        // A stream between processes of the proxy's machine: two paths, and nobody that could be named.
        0x31 => {
            body.array::<108>()?;
            body.array::<108>()?;
            None
        }
        // Unspecified: nobody either.
        0x00 => None,
        0x12 | 0x22 | 0x32 => return Err("the PROXY header is about datagrams"),
        _ => return Err("the PROXY header is of an unknown family"),
    };
    let common_name = match family {
        0x00 => None,
        _ => common_name(body)?,
    };
    let source = source.map(|(ip, port)| SocketAddr::new(ip, port));
    Ok(Progress::Whole(Header { source, common_name }))
}

/// What is left of the part behind the head.
struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let (array, rest) = self.0.split_first_chunk().ok_or("the PROXY header is too short")?;
        self.0 = rest;
        Ok(*array)
    }

    fn number(&mut self) -> Result<u16, &'static str> {
        self.array().map(u16::from_be_bytes)
    }

    /// The source's; the destination's is read over.
    fn port(&mut self) -> Result<u16, &'static str> {
        let port = self.number();
        self.number()?;
        port
    }

    /// The next type and value; none at the end.
    fn extension(&mut self) -> Result<Option<(u8, &'a [u8])>, &'static str> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let [kind] = self.array()?;
        let len = usize::from(self.number()?);
        let (value, rest) =
            self.0.split_at_checked(len).ok_or("an extension of the PROXY header is cut off")?;
        self.0 = rest;
        Ok(Some((kind, value)))
    }
}

/// What the proxy says of the client's certificate. Extensions of other kinds are read over.
fn common_name(mut extensions: Body<'_>) -> Result<Option<String>, &'static str> {
    let mut name = None;
    while let Some((kind, value)) = extensions.extension()? {
        if kind != SSL {
            continue;
        }
        let mut ssl = Body(value);
        let ([client], verified) = (ssl.array()?, ssl.array::<4>()? == [0; 4]);
        while let Some((kind, value)) = ssl.extension()? {
            if kind == SSL_COMMON_NAME && verified && client & SHOWN != 0 {
                let text = std::str::from_utf8(value).ok();
                let text = text.filter(|text| !text.is_empty() && !text.contains(char::is_control));
                name = Some(
                    text.ok_or("the common name in the PROXY header is not a text")?.to_owned(),
                );
            }
        }
    }
    Ok(name)
}

#[cfg(test)]
mod tests;
