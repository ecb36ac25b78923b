//! Files of a TLS listener: each kind of bad one is said with its name and line.

use std::fs;
use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, IsCa, Issuer,
    KeyIdMethod, KeyPair,
};

use super::{super::load, *};

/// A directory with a certificate, its key, and a CA.
pub(super) struct Files(tempfile::TempDir);

impl Files {
    pub(super) fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        files.write("server.pem", params.self_signed(&key).unwrap().pem().as_bytes());
        files.write("server.key", key.serialize_pem().as_bytes());
        for name in ["other.pem", "other.key"] {
            fs::copy(files.path(&name.replace("other", "server")), files.path(name)).unwrap();
        }
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        for name in ["ca.pem", "clients-ca.pem"] {
            files.write(name, params.self_signed(&key).unwrap().pem().as_bytes());
        }
        let revoked = CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2020, 1, 1),
            next_update: rcgen::date_time_ymd(4000, 1, 1),
            crl_number: 1.into(),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let issuer = Issuer::from_params(&params, &key);
        let revoked = revoked.signed_by(&issuer).unwrap().pem().unwrap();
        files.write("revoked.pem", revoked.as_bytes());
        files
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.path(name), content).unwrap();
    }

    /// Reads a listener with these lines from the sixth on.
    fn load(&self, lines: &str) -> Result<(Config, Vec<Problem>), Report> {
        let listener = LISTENER.replace(":1883", ":8883");
        self.write("wasmqtt.toml", format!("{listener}{lines}\n").as_bytes());
        load(&self.path("wasmqtt.toml"))
    }

    fn errors(&self, lines: &str) -> Vec<String> {
        let report = self.load(lines).expect_err(lines);
        let dir = format!("{}/", self.0.path().display());
        report.errors.iter().map(|problem| line(problem).replace(&dir, "")).collect()
    }
}

const GOOD: &str =
    "protocol = \"tls\"\n[listener.tls]\ncertificate = \"server.pem\"\nkey = \"server.key\"\n";

#[test]
fn a_tls_listener_is_read_with_its_files_and_printed_without_them() {
    let files = Files::new();
    let lines = format!(
        "{GOOD}client_certificate = \"optional\"\nclient_ca = [\"ca.pem\"]\nversions = [\"1.3\"]\nalpn = []\n\
         client_name = [\"san-uri\", \"cn\"]\nunknown_server_name = \"refuse\"\n\
         client_fingerprints = [\"{}\"]\nsni = [{{ certificate = \"server.pem\", key = \"server.key\" }}]",
        ["ab"; 32].join(":")
    );
    let (config, warnings) = files.load(&lines).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(warnings, []);
    let tls = config.listeners[0].tls.as_ref().unwrap();
    assert_eq!(tls.certificates.len(), 2);
    assert_eq!(tls.certificates[0].key.content, fs::read(files.path("server.key")).unwrap());
    assert_eq!(tls.client_fingerprints, [[0xab; 32]]);
    let printed = super::super::print(&config);
    assert!(!printed.contains("BEGIN"), "{printed}");
    files.write("wasmqtt.toml", printed.as_bytes());
    let (again, _) = load(&files.path("wasmqtt.toml")).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(listeners(&again), listeners(&config));
    // What is in a file counts, and not only its name.
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    files.write("server.pem", params.self_signed(&key).unwrap().pem().as_bytes());
    files.write("server.key", key.serialize_pem().as_bytes());
    let (new, _) = load(&files.path("wasmqtt.toml")).unwrap_or_else(|report| panic!("{report}"));
    let diff = super::super::diff(&config, &new);
    assert_eq!(diff.live().collect::<Vec<_>>(), ["listener.mqtt.tls"]);
}

#[test]
fn every_kind_of_bad_file_is_said_with_its_name_and_line() {
    let files = Files::new();
    let pem = fs::read_to_string(files.path("server.pem")).unwrap();
    let key = fs::read_to_string(files.path("server.key")).unwrap();
    let other = KeyPair::generate().unwrap().serialize_pem();
    let cut = &pem[..pem.len() / 2];
    let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let (certificate, secret) =
        ("8:15 `server.pem` cannot be used: ", "9:7 `server.key` cannot be used: ");
    for (name, content, error) in [
        ("server.pem", "", format!("{certificate}it is empty")),
        ("server.pem", "hello", format!("{certificate}it holds no certificate in PEM")),
        (
            "server.pem",
            "0\u{3}abc",
            format!("{certificate}it holds no certificate in PEM; convert DER"),
        ),
        ("server.pem", cut, format!("{certificate}it is cut off")),
        ("server.pem", junk, format!("{certificate}its certificate 1 cannot be read")),
        ("server.pem", &key, format!("{certificate}it holds no certificate but a private key")),
        ("server.key", &pem, format!("{secret}it holds no private key but a certificate")),
        (
            "server.key",
            encrypted,
            format!("{secret}it holds no private key but an encrypted private key; decrypt it"),
        ),
        ("server.key", &other, format!("{secret}the key does not belong to the certificate")),
        ("server.key", &key[..60], format!("{secret}it is cut off")),
    ] {
        let files = Files::new();
        files.write("server.pem", pem.as_bytes());
        files.write("server.key", key.as_bytes());
        files.write(name, content.as_bytes());
        let found = files.errors(GOOD);
        assert_eq!(found.len(), 1, "{name} {found:#?}");
        assert!(found[0].starts_with(&error), "{name} {found:#?}");
    }
    let missing = files.errors(&GOOD.replace("server.pem", "nowhere.pem"));
    assert!(missing[0].starts_with("8:15 cannot read `nowhere.pem`: "), "{missing:#?}");
    let directory = files.errors(&GOOD.replace("server.key", "."));
    assert!(directory[0].contains("not a regular file"), "{directory:#?}");
    files.write("long.pem", &vec![b'x'; (8 << 20) + 1]);
    let long = files.errors(&GOOD.replace("server.pem", "long.pem"));
    assert_eq!(long, ["8:15 `long.pem` is too long: 8 MiB is the most"]);
}

#[test]
fn what_is_said_of_clients_must_fit_together() {
    let files = Files::new();
    for (lines, error) in [
        (
            "client_certificate = \"required\"",
            "10:22 `client_ca` is missing from this listener.tls: no certificate of a client could be valid (add ",
        ),
        (
            "client_ca = [\"ca.pem\"]",
            "10:13 `listener.tls.client_ca` means nothing: clients are not asked for a certificate (set ",
        ),
        ("client_name = [\"cn\"]", "10:15 `listener.tls.client_name` means nothing"),
        (
            "client_certificate = \"required\"\nclient_ca = []",
            "11:13 `listener.tls.client_ca` is empty",
        ),
        (
            "client_certificate = \"required\"\nclient_ca = [\"server.key\"]",
            "11:14 `server.key` cannot be used: it holds no certificate but a private key",
        ),
        (
            "client_certificate = \"required\"\nclient_ca = [\"ca.pem\"]\nclient_crl = [\"ca.pem\"]",
            "12:15 `ca.pem` cannot be used: it holds no revocation list but a certificate",
        ),
        (
            "client_certificate = \"required\"\nclient_ca = [\"ca.pem\"]\nclient_fingerprints = [\"12\"]",
            "12:24 `listener.tls.client_fingerprints`: `12` is not a SHA-256 (write 64 hexadecimal digits)",
        ),
        (
            "client_certificate = \"required\"\nclient_ca = [\"ca.pem\"]\nclient_name = [\"cn\", \"dns\"]",
            "12:22 `listener.tls.client_name` cannot name `dns`",
        ),
        ("versions = []", "10:12 `listener.tls.versions` is empty: nobody could connect"),
        ("versions = [\"1.1\"]", "10:13 `listener.tls.versions` cannot name `1.1`"),
        ("versions = [\"1.2\", \"1.2\"]", "10:20 `listener.tls.versions` names `1.2` twice"),
        ("alpn = [\"\"]", "10:9 `listener.tls.alpn`: `` is no protocol"),
        ("certificat = 1", "10:1 unknown key `certificat` (did you mean `certificate`?)"),
        (
            "client_certificate = \"maybe\"",
            "10:22 `listener.tls.client_certificate` cannot be `maybe`",
        ),
        ("sni = [{ certificate = \"server.pem\" }]", "10:8 `key` is missing from this sni"),
    ] {
        let found = files.errors(&format!("{GOOD}{lines}"));
        assert!(found[0].starts_with(error), "{lines} {found:#?}");
    }
    assert_eq!(
        files.errors("protocol = \"wss\""),
        [
            "1:1 this listener has no certificate (add tls = { certificate = \"server.pem\", key = \"server.key\" })"
        ]
    );
    assert!(
        files.errors(&GOOD.replace("\"tls\"", "\"tcp\""))[0]
            .contains("means nothing with protocol \"tcp\"")
    );
}

#[test]
fn a_certificate_that_has_expired_is_worth_a_warning() {
    let files = Files::new();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    files.write("server.pem", params.self_signed(&key).unwrap().pem().as_bytes());
    files.write("server.key", key.serialize_pem().as_bytes());
    let (_, warnings) = files.load(GOOD).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].message.contains("has expired: clients will refuse it"), "{warnings:#?}");
}

#[test]
fn cas_of_web_services_are_looked_at_as_those_of_clients() {
    let files = Files::new();
    let with = |grants: &str| {
        format!("{GOOD}[[plugin]]\nname = \"p\"\npath = \"p.wasm\"\n[plugin.grants]\n{grants}")
    };
    for (ca, error) in [
        (
            "[\"server.key\"]",
            "15:12 `server.key` cannot be used: it holds no certificate but a private key",
        ),
        ("[\"ca.pem\", \"nowhere.pem\"]", "15:22 cannot read `nowhere.pem`: "),
        ("[]", "15:11 `plugin.grants.http_ca` is empty (remove it, or name a file)"),
    ] {
        let found = files.errors(&with(&format!("http = [\"https://a/\"]\nhttp_ca = {ca}\n")));
        assert!(found.len() == 1 && found[0].starts_with(error), "{ca}: {found:#?}");
    }
    let found = files.errors(&with("http = [\"http://a/\"]\nhttp_ca = [\"ca.pem\"]\n"));
    let error =
        "15:11 `plugin.grants.http_ca` means nothing: no URL in `http` begins with https://";
    assert!(found.len() == 1 && found[0].starts_with(error), "{found:#?}");

    let good = with("http = [\"http://a/\", \"https://a/\"]\nhttp_ca = [\"ca.pem\"]\n");
    let (config, _) = files.load(&good).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(config.plugins[0].grants.http_ca[0].written, "ca.pem");
    let printed = super::super::print(&config);
    assert!(printed.contains("grants.http_ca = [\"ca.pem\"]"), "{printed}");
}
