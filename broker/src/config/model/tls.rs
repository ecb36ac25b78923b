//! `listener.tls`: what a server shows, whom it lets in, and under which name.

use std::{fmt, path::PathBuf};

/// `listener.tls`. New connections get what a reload changes, the content of the files included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// What the server shows: the first one to everybody who does not ask for a name that only another one has. At
    /// least one, at most 64.
    pub certificates: Vec<ServerCertificate>,
    /// What becomes of a client that asks for a name that no certificate has, or for none. Default default.
    pub unknown_server_name: UnknownName,
    /// At least one. Default both.
    pub versions: Vec<TlsVersion>,
    /// What the bytes inside may be called; none = no client is asked. Default `mqtt`, with `wss` `http/1.1`.
    pub alpn: Vec<String>,
    /// Whether clients show a certificate. Default none.
    pub client_certificate: ClientCertificate,
    /// The CAs that certificates of clients are from; at least one where they show any.
    pub client_ca: Vec<PemFile>,
    /// Which of them are revoked. Where there is one list, there must be one for each CA. Default none.
    pub client_crl: Vec<PemFile>,
    /// SHA-256 of the certificates that are let in; none = all that are valid. At most 1024. Default none.
    pub client_fingerprints: Vec<[u8; 32]>,
    /// What of a certificate is the name of the client: the first of these that it has; none = the client says itself.
    /// Default none.
    pub client_name: Vec<NameSource>,
}

/// A certificate with its chain, and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerCertificate {
    /// Its own certificate first, then those that lead to a CA.
    pub certificate: PemFile,
    /// The private key.
    pub key: PemFile,
}

/// A file with what OpenSSL writes as PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct PemFile {
    /// As it is written in the configuration.
    pub written: String,
    /// Resolved as the path of a component is.
    pub path: PathBuf,
    /// All of it. Secrets, often.
    pub content: Vec<u8>,
}

impl fmt::Debug for PemFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.path.display(), self.content.len())
    }
}

impl Tls {
    /// Every file, in the order of the configuration.
    pub fn files(&self) -> impl Iterator<Item = &PemFile> {
        let own = self.certificates.iter().flat_map(|pair| [&pair.certificate, &pair.key]);
        own.chain(&self.client_ca).chain(&self.client_crl)
    }
}

words! {
    /// A version of TLS.
    TlsVersion {
        /// TLS 1.2.
        V12 = "1.2",
        /// TLS 1.3.
        V13 = "1.3",
    }
}

words! {
    /// What becomes of a client that asks for a name that no certificate has, or for none.
    UnknownName {
        /// It is shown the first certificate.
        Default = "default",
        /// The handshake fails.
        Refuse = "refuse",
    }
}

words! {
    /// Whether clients show a certificate.
    ClientCertificate {
        /// They are not asked.
        None = "none",
        /// One that is shown must be valid.
        Optional = "optional",
        /// Nobody enters without.
        Required = "required",
    }
}

words! {
    /// A name in a certificate.
    NameSource {
        /// The common name of the subject.
        Cn = "cn",
        /// The first alternative name that is a host.
        SanDns = "san-dns",
        /// The first alternative name that is a URI.
        SanUri = "san-uri",
        /// The first alternative name that is an address of electronic mail.
        SanEmail = "san-email",
        /// The first alternative name that is an IP address.
        SanIp = "san-ip",
        /// SHA-256 of the certificate, in 64 hexadecimal digits.
        Fingerprint = "fingerprint",
    }
}
