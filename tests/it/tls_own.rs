//! Clients whose certificates nobody has issued but themselves.

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
use sha2::{Digest as _, Sha256};
use wasmqtt_codec::{Connect, Version};

use crate::harness::Broker;
use crate::harness::broker::Line;
use crate::harness::client::{bytes, connect_packet};
use crate::harness::config::open_listener;
use crate::harness::program::run;
use crate::harness::tls::{Authority, Dialler, Issued, client};
use crate::harness::wasmqtt;

/// What `openssl req -x509` makes where nothing else is said.
fn own(params: CertificateParams) -> Issued {
    let mut params = params;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    Issued { certificate, key: key.serialize_pem() }
}

fn fingerprint(issued: &Issued) -> String {
    Sha256::digest(issued.der()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A broker where everybody in `client_ca` may enter, if it has one of these fingerprints.
fn broker(authority: &Authority, trusted: &[&Issued], pinned: &[&Issued]) -> Broker {
    let dir = tempfile::tempdir().unwrap();
    authority.server("x").write(dir.path(), "server");
    let trusted = trusted.iter().map(|issued| issued.certificate.as_str());
    let trusted: Vec<&str> = trusted.chain([authority.certificate.as_str()]).collect();
    std::fs::write(dir.path().join("ca.pem"), trusted.concat()).unwrap();
    let pinned: Vec<String> = pinned.iter().map(|issued| fingerprint(issued)).collect();
    let keys = format!(
        "protocol = \"tls\"\n[listener.tls]\ncertificate = \"server.pem\"\nkey = \"server.key\"\n\
         client_certificate = \"required\"\nclient_ca = [\"ca.pem\"]\nclient_name = [\"cn\"]\n\
         client_fingerprints = {pinned:?}"
    );
    Broker::start_in(dir, &open_listener("tls", &keys))
}

fn hello() -> Vec<u8> {
    bytes(Version::V5, &[connect_packet(&Connect::new(Version::V5, "c"))])
}

fn refused(broker: &Broker, dialler: &Dialler) -> String {
    let mark = broker.mark();
    assert!(dialler.exchange(broker.addr(), &hello(), 4).is_err());
    broker.wait_for(mark, "connection refused").field("reason")
}

#[test]
fn one_that_is_named_twice_is_let_in_and_the_others_are_told_what_to_do() {
    let authority = Authority::new("ours");
    let mine = own(client("device-1"));
    let other = own(client("device-2"));
    let mut old = client("device-3");
    old.not_after = date_time_ymd(2001, 1, 1);
    let old = own(old);
    let dialler = |issued| Dialler::new(&authority, Some(issued));

    let pinned = broker(&authority, &[&mine, &old], &[&mine, &other, &old]);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mark = pinned.mark();
        let dialler = Dialler::speaking(&authority, Some(&mine), &[version]);
        let (_, answer) = dialler.exchange(pinned.addr(), &hello(), 4).unwrap();
        assert_eq!((answer[0], answer[3]), (0x20, 0), "{answer:02x?}");
        let connected = |line: &Line| line.message() == "client connected";
        let line = pinned.wait_until(mark, connected, "the client");
        assert_eq!(line.field("username"), "device-1");
    }
    // Nobody trusts this one, and the other one is too old.
    assert!(refused(&pinned, &dialler(&other)).contains("CA:TRUE"));
    let reason = refused(&pinned, &dialler(&old));
    assert!(reason.contains("has expired"), "{reason}");

    let unpinned = broker(&authority, &[&mine], &[]);
    let reason = refused(&unpinned, &dialler(&mine));
    for part in ["CA:TRUE", "client_ca", "client_fingerprints", "basicConstraints"] {
        assert!(reason.contains(part), "{part} is not in {reason}");
    }
}

#[test]
fn who_has_shown_a_certificate_is_not_asked_whether_one_is_wanted() {
    let authority = Authority::new("ours");
    let broker = broker(&authority, &[], &[]);
    own(client("device-1")).write(broker.dir(), "mine");
    std::fs::write(broker.dir().join("trusted.pem"), &authority.certificate).unwrap();
    let port = broker.addr().port().to_string();
    let publish = |more: &[&str]| {
        let mut command = std::process::Command::new(wasmqtt());
        command.current_dir(broker.dir()).args(["pub", "-h", "127.0.0.1", "-p", &port, "-t", "t"]);
        command.args(["-m", "x", "--cafile", "trusted.pem"]).args(more);
        run(&mut command)
    };
    let shown = publish(&["--cert", "mine.pem", "--key", "mine.key"]);
    assert_eq!(shown.code, Some(1), "{shown:?}");
    assert!(!shown.stderr.contains("does it want a certificate"), "{shown:?}");
    assert!(shown.stderr.contains("certificate"), "{shown:?}");
    let without = publish(&[]);
    assert!(without.stderr.contains("certificate (--cert, --key)?"), "{without:?}");
}
