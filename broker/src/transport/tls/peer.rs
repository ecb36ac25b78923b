//! Who a client is by its certificate, which has been verified.

use std::net::IpAddr;

use sha2::{Digest as _, Sha256};
use wasmqtt_core::client::Certificate;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use crate::config::{NameSource, Tls};

/// Alternative names that one certificate may have.
const MAX_NAMES: usize = 256;

/// Who a client turned out to be.
#[derive(Debug)]
pub(crate) struct Identified {
    /// For authenticators.
    pub(crate) certificate: Certificate,
    /// What the listener takes for its authentication name, where it takes one.
    pub(crate) name: Option<String>,
}

/// Reads a certificate.
///
/// # Errors
/// Why whoever shows it is not let in.
pub(crate) fn identify(der: &[u8], tls: &Tls) -> Result<Identified, String> {
    let fingerprint: [u8; 32] = Sha256::digest(der).into();
    let pins = &tls.client_fingerprints;
    if !pins.is_empty() && !pins.contains(&fingerprint) {
        return Err(format!(
            "the client's certificate is not among client_fingerprints: {}",
            hex(&fingerprint)
        ));
    }
    let (_, parsed) = X509Certificate::from_der(der)
        .map_err(|error| format!("the client's certificate cannot be read: {error}"))?;
    let alternatives = parsed.subject_alternative_name().map_err(|error| {
        format!("the names in the client's certificate cannot be read: {error}")
    })?;
    let alternatives = alternatives.map(|names| &names.value.general_names[..]).unwrap_or_default();
    if alternatives.len() > MAX_NAMES {
        let count = alternatives.len();
        return Err(format!("the client's certificate has {count} names: {MAX_NAMES} is the most"));
    }
    let common_name = common_name(&parsed)?;
    let texts = |source: NameSource| -> Vec<String> {
        alternatives.iter().filter_map(|name| alternative(name, source)).collect()
    };
    let (dns_names, uris, emails) =
        (texts(NameSource::SanDns), texts(NameSource::SanUri), texts(NameSource::SanEmail));
    let mut name = None;
    for source in &tls.client_name {
        name = match source {
            NameSource::Cn => common_name.clone(),
            NameSource::SanDns => dns_names.first().cloned(),
            NameSource::SanUri => uris.first().cloned(),
            NameSource::SanEmail => emails.first().cloned(),
            NameSource::SanIp => texts(NameSource::SanIp).into_iter().next(),
            NameSource::Fingerprint => Some(hex(&fingerprint)),
        };
        if name.is_some() {
            break;
        }
    }
    if name.is_none() && !tls.client_name.is_empty() {
        let sources: Vec<&str> = tls.client_name.iter().map(|source| source.as_str()).collect();
        let sources = sources.join(", ");
        return Err(format!(
            "the client's certificate has no name that client_name asks for ({sources})"
        ));
    }
    let subject = parsed.subject().to_string();
    let certificate =
        Certificate { common_name, subject, dns_names, uris, emails, sha256: Some(fingerprint) };
    Ok(Identified { certificate, name })
}

/// One that is no text is not passed over: somebody else's name may be what is left of it.
fn common_name(certificate: &X509Certificate<'_>) -> Result<Option<String>, String> {
    let Some(attribute) = certificate.subject().iter_common_name().next() else { return Ok(None) };
    match attribute.as_str() {
        Ok(text) if is_name(text) => Ok(Some(text.to_owned())),
        _ => Err("the common name of the client's certificate is not a text".to_owned()),
    }
}

fn alternative(name: &GeneralName<'_>, source: NameSource) -> Option<String> {
    let text = match (name, source) {
        (GeneralName::DNSName(text), NameSource::SanDns)
        | (GeneralName::URI(text), NameSource::SanUri)
        | (GeneralName::RFC822Name(text), NameSource::SanEmail) => (*text).to_owned(),
        (GeneralName::IPAddress(bytes), NameSource::SanIp) => {
            let v4 = || <[u8; 4]>::try_from(*bytes).ok().map(IpAddr::from);
            let v6 = || <[u8; 16]>::try_from(*bytes).ok().map(IpAddr::from);
            v4().or_else(v6)?.to_string()
        }
        _ => return None,
    };
    is_name(&text).then_some(text)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_control)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
