//! TLS: what a server shows, whom it lets in, and who that is.

mod peer;
mod resolver;
mod verifier;

use std::io;
use std::sync::Arc;

use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{CertificateError, RootCertStore, ServerConfig, SupportedProtocolVersion};

use crate::config::{ClientCertificate, Tls, TlsVersion, pem};

pub(crate) use peer::{Identified, identify};
use resolver::Resolver;

/// What rustls may hold of what the socket did not take yet, in bytes. The rest waits where it does over TCP.
pub(crate) const BUFFER: usize = 16 << 10;
/// Tickets that one connection is given to resume with.
const TICKETS: usize = 1;

/// What one listener does with newcomers.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    /// Shakes hands.
    pub(crate) config: Arc<ServerConfig>,
    /// Says who they are.
    pub(crate) settings: Arc<Tls>,
}

impl Server {
    /// # Errors
    /// What rustls finds in files that have been looked at before.
    pub(crate) fn new(tls: &Tls) -> Result<Self, String> {
        Ok(Self { config: server_config(tls)?, settings: Arc::new(tls.clone()) })
    }
}

/// What a listener with these settings speaks. Every file in them has been looked at before.
///
/// # Errors
/// What rustls finds all the same.
fn server_config(tls: &Tls) -> Result<Arc<ServerConfig>, String> {
    let provider = pem::provider();
    let versions: Vec<&SupportedProtocolVersion> = tls.versions.iter().map(version).collect();
    let resolver = Resolver::new(tls)?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions)
        .map_err(|error| error.to_string())?;
    let mut config = match verifier(tls)? {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    }
    .with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = tls.alpn.iter().map(|name| name.clone().into_bytes()).collect();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    if tls.client_certificate == ClientCertificate::None {
        config.ticketer =
            rustls::crypto::ring::Ticketer::new().map_err(|error| error.to_string())?;
        config.send_tls13_tickets = TICKETS;
    } else {
        // Who resumes is not looked at again, and its certificate may have been revoked meanwhile.
        config.send_tls13_tickets = 0;
    }
    Ok(Arc::new(config))
}

fn version(version: &TlsVersion) -> &'static SupportedProtocolVersion {
    match version {
        TlsVersion::V12 => &rustls::version::TLS12,
        TlsVersion::V13 => &rustls::version::TLS13,
    }
}

fn verifier(tls: &Tls) -> Result<Option<Arc<dyn ClientCertVerifier>>, String> {
    if tls.client_certificate == ClientCertificate::None {
        return Ok(None);
    }
    let mut roots = RootCertStore::empty();
    for ca in &tls.client_ca {
        pem::add_roots(&mut roots, &ca.content)?;
    }
    let mut crls = Vec::new();
    for list in &tls.client_crl {
        crls.extend(pem::crls(&list.content)?);
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), pem::provider());
    if !crls.is_empty() {
        builder = builder
            .with_crls(crls)
            .only_check_end_entity_revocation()
            .enforce_revocation_expiration();
    }
    if tls.client_certificate == ClientCertificate::Optional {
        builder = builder.allow_unauthenticated();
    }
    let verifier = builder.build().map_err(|error| error.to_string())?;
    Ok(Some(verifier::taking_pinned(verifier, tls)))
}

/// Why a handshake failed, in words that tell an operator what to look at.
pub(crate) fn reason(error: &io::Error) -> String {
    use rustls::Error;
    let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof => "the client left in the middle of the handshake".into(),
            _ => error.to_string(),
        };
    };
    match inner {
        Error::InvalidCertificate(why) => certificate_reason(why),
        Error::NoCertificatesPresented => "the client shows no certificate".into(),
        Error::AlertReceived(alert) => format!("the client refuses: {alert:?}"),
        Error::NoApplicationProtocol => "the client offers no protocol of `alpn`".into(),
        Error::InvalidMessage(_) => format!("this is not TLS: {inner}"),
        other => other.to_string(),
    }
}

fn certificate_reason(why: &CertificateError) -> String {
    let known = match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet"
        }
        CertificateError::Revoked => "has been revoked",
        CertificateError::UnknownIssuer => "is from nobody in client_ca",
        CertificateError::UnknownRevocationStatus => "has an issuer without a list in client_crl",
        CertificateError::ExpiredRevocationList
        | CertificateError::ExpiredRevocationListContext { .. } => {
            "cannot be checked: its issuer's list in client_crl has expired"
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "is not for clients"
        }
        CertificateError::BadEncoding => "cannot be read",
        why if verifier::is_an_authority(why) => {
            "is that of an authority (CA:TRUE), as `openssl req -x509` makes them: issue one for the client with it; or \
             make one with `-addext basicConstraints=critical,CA:FALSE`; or name it in client_ca, and its SHA-256 in \
             client_fingerprints"
        }
        other => return format!("the client's certificate is refused: {other}"),
    };
    format!("the client's certificate {known}")
}

#[cfg(test)]
mod tests;
