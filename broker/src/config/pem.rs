//! Certificates, keys and revocation lists in PEM, and what may be wrong with them. Knows nothing else of TLS.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{Error as PemError, PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, RootCertStore};
use x509_parser::prelude::{FromDer as _, X509Certificate};

const ENCRYPTED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";

/// The one implementation of cryptography.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The certificate of a server and those that lead from it to a CA, in this order.
pub(crate) fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain = all::<CertificateDer<'static>>(pem)?;
    if chain.is_empty() {
        return Err(instead(pem, "certificate"));
    }
    for (number, certificate) in chain.iter().enumerate() {
        X509Certificate::from_der(certificate)
            .map_err(|error| format!("its certificate {} cannot be read: {error}", number + 1))?;
    }
    Ok(chain)
}

/// The first key.
pub(crate) fn key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    match PrivateKeyDer::from_pem_slice(pem) {
        Ok(key) => Ok(key),
        Err(PemError::NoItemsFound) => Err(instead(pem, "private key")),
        Err(error) => Err(broken(&error)),
    }
}

/// A chain with its key.
pub(crate) fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, String> {
    CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            "the key does not belong to the certificate".to_owned()
        }
        Error::General(_) => "the key is of a kind or size that is not served".to_owned(),
        error => error.to_string(),
    })
}

/// For certificates of CAs.
pub(crate) fn no_roots() -> RootCertStore {
    RootCertStore::empty()
}

/// Adds certificates of CAs.
pub(crate) fn add_roots(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), String> {
    let found = all::<CertificateDer<'static>>(pem)?;
    if found.is_empty() {
        return Err(instead(pem, "certificate"));
    }
    for (number, certificate) in found.into_iter().enumerate() {
        roots.add(certificate).map_err(|error| {
            format!("its certificate {} cannot be that of a CA: {error}", number + 1)
        })?;
    }
    Ok(())
}

/// The same certificates, of a file that has been found good.
pub(crate) fn authorities(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    all(pem).unwrap_or_default()
}

/// Lists of revoked certificates.
pub(crate) fn crls(pem: &[u8]) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
    let lists = all::<CertificateRevocationListDer<'static>>(pem)?;
    if lists.is_empty() {
        return Err(instead(pem, "revocation list"));
    }
    for (number, list) in lists.iter().enumerate() {
        x509_parser::parse_x509_crl(list)
            .map_err(|error| format!("its list {} cannot be read: {error}", number + 1))?;
    }
    Ok(lists)
}

/// Seconds since 1970 at which a certificate ends.
pub(crate) fn end(certificate: &CertificateDer<'_>) -> Option<i64> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    Some(certificate.validity().not_after.timestamp())
}

fn all<T: PemObject>(pem: &[u8]) -> Result<Vec<T>, String> {
    T::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|error| broken(&error))
}

fn broken(error: &PemError) -> String {
    match error {
        PemError::MissingSectionEnd { .. } => "it is cut off: a section has no end".to_owned(),
        error => format!("it is not PEM: {error}"),
    }
}

/// There is nothing of what was wanted: what is there instead may explain it.
fn instead(pem: &[u8], wanted: &str) -> String {
    if std::str::from_utf8(pem).is_ok_and(|text| text.contains(ENCRYPTED)) {
        return format!(
            "it holds no {wanted} but an encrypted private key; decrypt it with `openssl pkey`"
        );
    }
    let mut sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(pem);
    let found = sections.next().and_then(Result::ok).and_then(|(kind, _)| match kind {
        SectionKind::Certificate => Some("a certificate"),
        SectionKind::RsaPrivateKey | SectionKind::PrivateKey | SectionKind::EcPrivateKey => {
            Some("a private key")
        }
        SectionKind::Crl => Some("a revocation list"),
        SectionKind::Csr => Some("a request for a certificate"),
        _ => None,
    });
    match found {
        Some(found) => format!("it holds no {wanted} but {found}"),
        None if pem.is_empty() => "it is empty".to_owned(),
        None if pem.first() == Some(&0x30) => {
            format!("it holds no {wanted} in PEM; convert DER with `openssl x509 -inform der`")
        }
        None => format!("it holds no {wanted} in PEM"),
    }
}
