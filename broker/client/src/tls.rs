//! TLS as a client: whom to trust, and what to show.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
};
use tokio_rustls::TlsConnector;

use crate::dial::Stream;
use crate::failure::Failure;

/// What a client is told about TLS.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// Authorities; without any, those that browsers trust.
    pub(crate) ca_file: Option<PathBuf>,
    /// A directory of them.
    pub(crate) ca_path: Option<PathBuf>,
    /// What the client shows, and its key.
    pub(crate) shows: Option<(PathBuf, PathBuf)>,
    /// One version and no other.
    pub(crate) version: Option<&'static SupportedProtocolVersion>,
    pub(crate) alpn: Option<String>,
    /// The certificate may be for another host.
    pub(crate) any_name: bool,
}

/// Ready to shake hands.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    config: Arc<ClientConfig>,
    /// The client has a certificate.
    pub(crate) shows: bool,
}

impl Tls {
    /// Reads the files.
    pub(crate) fn new(settings: &Settings) -> Result<Self, Failure> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots = Arc::new(roots(settings)?);
        let versions = match settings.version {
            Some(version) => &[version][..],
            None => rustls::ALL_VERSIONS,
        };
        let bad = |error: Error| Failure::error(format!("TLS cannot be used like this: {error}"));
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .map_err(bad)?;
        let builder = if settings.any_name {
            let inner = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
            let inner = inner
                .map_err(|error| Failure::error(format!("no authority is of use: {error}")))?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyName(inner)))
        } else {
            builder.with_root_certificates(roots)
        };
        let mut config = match &settings.shows {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates(certificate)?;
                let key = PrivateKeyDer::from_pem_file(key)
                    .map_err(|error| unreadable(key, &format!("{error}")))?;
                builder.with_client_auth_cert(chain, key).map_err(bad)?
            }
        };
        config.alpn_protocols = settings.alpn.iter().map(|name| name.clone().into()).collect();
        Ok(Self { config: Arc::new(config), shows: settings.shows.is_some() })
    }

    /// Makes a stream a sealed one.
    pub(crate) async fn shake_hands(
        &self,
        stream: Box<dyn Stream>,
        host: &str,
    ) -> Result<Box<dyn Stream>, Failure> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Failure::error(format!("{host} is no name that TLS knows")))?;
        match TlsConnector::from(Arc::clone(&self.config)).connect(name, stream).await {
            Ok(sealed) => Ok(Box::new(sealed)),
            Err(error) => Err(Failure::lost(words(&error, host))),
        }
    }
}

/// Why there is no TLS, and what may help.
fn words(error: &std::io::Error, host: &str) -> String {
    let known = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    let why = match known {
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "nobody that is trusted has issued the broker's certificate; name its authority with --cafile".into()
        }
        Some(Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => format!(
            "the broker's certificate is not for {host}; use the name that it is for, or --insecure"
        ),
        Some(Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        )) => "the broker's certificate has expired".into(),
        Some(Error::InvalidMessage(_)) => "this port does not speak TLS".into(),
        None if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            "the broker closed the connection; does this port speak TLS?".into()
        }
        _ => error.to_string(),
    };
    format!("no TLS with {host}: {why}")
}

fn roots(settings: &Settings) -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    if settings.ca_file.is_none() && settings.ca_path.is_none() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        return Ok(roots);
    }
    if let Some(file) = &settings.ca_file {
        for certificate in certificates(file)? {
            roots.add(certificate).map_err(|error| unreadable(file, &error.to_string()))?;
        }
    }
    if let Some(directory) = &settings.ca_path {
        let entries =
            fs::read_dir(directory).map_err(|error| unreadable(directory, &error.to_string()))?;
        for entry in entries.flatten() {
            // Whatever else lies there does no harm.
            roots.add_parsable_certificates(certificates(&entry.path()).unwrap_or_default());
        }
        if roots.is_empty() {
            return Err(unreadable(directory, "there is no certificate in it"));
        }
    }
    Ok(roots)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let read = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable(file, &error.to_string()))?;
    match read.is_empty() {
        true => Err(unreadable(file, "there is no certificate in it")),
        false => Ok(read),
    }
}

fn unreadable(path: &Path, why: &str) -> Failure {
    Failure::error(format!("cannot use {}: {why}", path.display()))
}

/// Everything is checked but the name.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.0.verify_server_cert(end_entity, intermediates, name, ocsp, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// The version of this name, as mosquitto's programs and OpenSSL have it.
pub(crate) fn version(text: &str) -> Result<&'static SupportedProtocolVersion, String> {
    match text.to_ascii_lowercase().trim_start_matches("tlsv") {
        "1.2" => Ok(&rustls::version::TLS12),
        "1.3" => Ok(&rustls::version::TLS13),
        _ => Err("write tlsv1.2 or tlsv1.3; older versions are broken".into()),
    }
}
