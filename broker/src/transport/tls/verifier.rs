//! Certificates of authorities that clients show as their own: `openssl req -x509` makes such ones where nothing else is
//! said. No verifier takes them for a client's, but the operator may have named one twice.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::time::ASN1Time;

use crate::config::{Tls, pem};

/// Takes certificates of authorities that are in `client_ca` themselves and whose fingerprints are among
/// `client_fingerprints`, as far as they are valid now. Everything else is for the other one to say.
#[derive(Debug)]
struct TakingPinned {
    inner: Arc<dyn ClientCertVerifier>,
    pinned: Vec<CertificateDer<'static>>,
}

/// As `inner`, with those that are pinned.
pub(super) fn taking_pinned(
    inner: Arc<dyn ClientCertVerifier>,
    tls: &Tls,
) -> Arc<dyn ClientCertVerifier> {
    let pins = &tls.client_fingerprints;
    let is_pinned = |it: &CertificateDer<'_>| pins.contains(&Sha256::digest(it).into());
    let named = tls.client_ca.iter().flat_map(|file| pem::authorities(&file.content));
    let pinned: Vec<_> = named.filter(is_pinned).collect();
    match pinned.is_empty() {
        true => inner,
        false => Arc::new(TakingPinned { inner, pinned }),
    }
}

/// Whether a certificate was refused because it is that of an authority.
pub(super) fn is_an_authority(why: &CertificateError) -> bool {
    // The error is of a crate that rustls does not show.
    matches!(why, CertificateError::Other(other) if other.to_string() == "CaUsedAsEndEntity")
}

fn in_time(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let refused = |why| Err(Error::InvalidCertificate(why));
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
        return refused(CertificateError::BadEncoding);
    };
    let now = i64::try_from(now.as_secs()).ok().and_then(|now| ASN1Time::from_timestamp(now).ok());
    match now {
        Some(now) if now < parsed.validity().not_before => refused(CertificateError::NotValidYet),
        Some(now) if now <= parsed.validity().not_after => Ok(()),
        _ => refused(CertificateError::Expired),
    }
}

impl ClientCertVerifier for TakingPinned {
    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match self.inner.verify_client_cert(end_entity, intermediates, now) {
            Err(Error::InvalidCertificate(why))
                if is_an_authority(&why) && self.pinned.contains(end_entity) =>
            {
                in_time(end_entity, now).map(|()| ClientCertVerified::assertion())
            }
            other => other,
        }
    }

    fn offer_client_auth(&self) -> bool {
        self.inner.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
