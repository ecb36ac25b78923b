//! A certificate authority, what it issues, and clients that speak TLS. Must not know MQTT.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use base64ct::{Base64, Encoding as _};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    PublicKeyData as _, RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};
use sha2::{Digest as _, Sha256};

use super::PATIENCE;

/// A certificate and its key, both as PEM.
#[derive(Clone)]
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Issued {
    /// Writes both into a directory, as `NAME.pem` and `NAME.key`.
    pub(crate) fn write(&self, dir: &Path, name: &str) {
        std::fs::write(dir.join(format!("{name}.pem")), &self.certificate).unwrap();
        std::fs::write(dir.join(format!("{name}.key")), &self.key).unwrap();
    }

    /// By which a browser can be told to trust this key and no other: SHA-256 of the public key, in base64.
    pub(crate) fn pin(&self) -> String {
        let key = KeyPair::from_pem(&self.key).unwrap();
        Base64::encode_string(&Sha256::digest(key.subject_public_key_info()))
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()
    }
}

/// Who issues certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) certificate: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// For this machine, and for one name more.
    pub(crate) fn server(&self, name: &str) -> Issued {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned(), name.to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(params)
    }

    /// For a client with this common name.
    pub(crate) fn client(&self, common_name: &str) -> Issued {
        self.issue(client(common_name))
    }

    pub(crate) fn issue(&self, params: CertificateParams) -> Issued {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Issued { certificate, key: key.serialize_pem() }
    }

    /// A list of what is revoked, as PEM.
    pub(crate) fn revoke(&self, serials: &[u64]) -> String {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(4000, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

/// What a certificate for a client says.
pub(crate) fn client(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let uri = format!("urn:client:{}", common_name.len());
    params.subject_alt_names = vec![SanType::URI(uri.as_str().try_into().unwrap())];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

/// How a client connects.
pub(crate) struct Dialler {
    pub(crate) config: ClientConfig,
    pub(crate) name: &'static str,
}

/// A client's end of a connection.
pub(crate) type Sealed = StreamOwned<ClientConnection, TcpStream>;

impl Dialler {
    /// Trusts the authority, and shows a certificate where it has one.
    pub(crate) fn new(authority: &Authority, shows: Option<&Issued>) -> Self {
        Self::speaking(authority, shows, &[&rustls::version::TLS13, &rustls::version::TLS12])
    }

    pub(crate) fn speaking(
        authority: &Authority,
        shows: Option<&Issued>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(authority.certificate.as_bytes()).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let config = match shows {
            None => builder.with_no_client_auth(),
            Some(issued) => {
                let chain = CertificateDer::pem_slice_iter(issued.certificate.as_bytes());
                let chain = chain.map(Result::unwrap).collect();
                let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        Self { config, name: "localhost" }
    }

    /// Shakes hands. With TLS 1.3 a server may still refuse what the client has shown.
    pub(crate) fn dial(&self, addr: SocketAddr) -> io::Result<Sealed> {
        self.dial_on(TcpStream::connect(addr)?)
    }

    /// As [`dial`](Self::dial), on a connection that has been used for something else.
    pub(crate) fn dial_on(&self, stream: TcpStream) -> io::Result<Sealed> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let name = ServerName::try_from(self.name).unwrap();
        let session = ClientConnection::new(Arc::new(self.config.clone()), name).unwrap();
        let mut sealed = StreamOwned::new(session, stream);
        while sealed.conn.is_handshaking() {
            sealed.conn.complete_io(&mut sealed.sock)?;
        }
        Ok(sealed)
    }

    /// Sends something and waits for so many bytes of an answer.
    pub(crate) fn exchange(
        &self,
        addr: SocketAddr,
        sent: &[u8],
        len: usize,
    ) -> io::Result<(Sealed, Vec<u8>)> {
        let mut sealed = self.dial(addr)?;
        let mut answer = vec![0; len];
        sealed.write_all(sent)?;
        sealed.read_exact(&mut answer)?;
        Ok((sealed, answer))
    }
}
