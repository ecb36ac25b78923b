//! The messages of RFC 5802, section 7, as far as a server reads them.

use base64ct::{Base64, Encoding};

use crate::credentials::KEY;

/// Characters of a client's nonce: enough for any, and not enough to fill a state.
const NONCE_MAX: usize = 256;

/// What is wrong, in the words that the RFC has for it.
pub(crate) type Fault = &'static str;

pub(crate) const INVALID_ENCODING: Fault = "e=invalid-encoding";
pub(crate) const NO_CHANNEL_BINDING: Fault = "e=channel-binding-not-supported";
pub(crate) const BINDINGS_DIFFER: Fault = "e=channel-bindings-dont-match";
pub(crate) const EXTENSIONS: Fault = "e=extensions-not-supported";
pub(crate) const OTHER: Fault = "e=other-error";

/// `gs2-header n=NAME,r=NONCE`
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ClientFirst<'a> {
    pub(crate) gs2_header: &'a str,
    /// Without the header.
    pub(crate) bare: &'a str,
    /// `=2C` and `=3D` replaced; not prepared.
    pub(crate) username: String,
    pub(crate) nonce: &'a str,
}

impl<'a> ClientFirst<'a> {
    pub(crate) fn parse(data: &'a [u8]) -> Result<Self, Fault> {
        let text = str::from_utf8(data).map_err(|_| INVALID_ENCODING)?;
        let (flag, rest) = text.split_once(',').ok_or(INVALID_ENCODING)?;
        match flag {
            "n" | "y" => {}
            _ if flag.starts_with("p=") => return Err(NO_CHANNEL_BINDING),
            _ => return Err(INVALID_ENCODING),
        }
        let (authzid, bare) = rest.split_once(',').ok_or(INVALID_ENCODING)?;
        let authzid = match authzid {
            "" => None,
            other => Some(unescape(other.strip_prefix("a=").ok_or(INVALID_ENCODING)?)?),
        };
        if bare.starts_with("m=") {
            return Err(EXTENSIONS);
        }
        let gs2_header = text.strip_suffix(bare).ok_or(INVALID_ENCODING)?;
        let mut attributes = bare.split(',');
        let username = unescape(attribute(attributes.next(), "n=")?)?;
        let nonce = attribute(attributes.next(), "r=")?;
        let printable = |byte: u8| (0x21..=0x7e).contains(&byte) && byte != b',';
        if nonce.is_empty() || nonce.len() > NONCE_MAX || !nonce.bytes().all(printable) {
            return Err(INVALID_ENCODING);
        }
        if authzid.is_some_and(|authzid| authzid != username) {
            // Nobody acts for somebody else here.
            return Err(OTHER);
        }
        Ok(Self { gs2_header, bare, username, nonce })
    }
}

/// `c=CHANNEL-BINDING,r=NONCE,p=PROOF`
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ClientFinal<'a> {
    /// What the proof is about.
    pub(crate) without_proof: &'a str,
    /// The header of the first message, decoded.
    pub(crate) binding: Vec<u8>,
    pub(crate) nonce: &'a str,
    pub(crate) proof: [u8; KEY],
}

impl<'a> ClientFinal<'a> {
    pub(crate) fn parse(data: &'a [u8]) -> Result<Self, Fault> {
        let text = str::from_utf8(data).map_err(|_| INVALID_ENCODING)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(INVALID_ENCODING)?;
        let mut attributes = without_proof.split(',');
        let binding = attribute(attributes.next(), "c=")?;
        let binding = Base64::decode_vec(binding).map_err(|_| INVALID_ENCODING)?;
        let nonce = attribute(attributes.next(), "r=")?;
        let proof = Base64::decode_vec(proof).ok().and_then(|proof| proof.try_into().ok());
        Ok(Self { without_proof, binding, nonce, proof: proof.ok_or(INVALID_ENCODING)? })
    }
}

fn attribute<'a>(part: Option<&'a str>, name: &str) -> Result<&'a str, Fault> {
    part.and_then(|part| part.strip_prefix(name)).ok_or(INVALID_ENCODING)
}

/// A `saslname`: any `=` must begin one of the two escapes.
fn unescape(name: &str) -> Result<String, Fault> {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((before, behind)) = rest.split_once('=') {
        out.push_str(before);
        let (char, behind) = match (behind.strip_prefix("2C"), behind.strip_prefix("3D")) {
            (Some(behind), _) => (',', behind),
            (_, Some(behind)) => ('=', behind),
            _ => return Err(INVALID_ENCODING),
        };
        out.push(char);
        rest = behind;
    }
    out.push_str(rest);
    if out.is_empty() { Err(INVALID_ENCODING) } else { Ok(out) }
}
