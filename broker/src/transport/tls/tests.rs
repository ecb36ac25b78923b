//! What certificates say, and who is shown which.

use rcgen::string::Ia5String;
use rcgen::{CertificateParams, DnType, DnValue, KeyPair, SanType};

use super::*;
use crate::config::{NameSource, PemFile, ServerCertificate, UnknownName};

fn ia5(text: &str) -> Ia5String {
    text.try_into().unwrap()
}

fn params(common_name: Option<DnValue>, names: Vec<SanType>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Example");
    if let Some(name) = common_name {
        params.distinguished_name.push(DnType::CommonName, name);
    }
    params.subject_alt_names = names;
    params
}

fn der(common_name: Option<DnValue>, names: Vec<SanType>) -> Vec<u8> {
    let key = KeyPair::generate().unwrap();
    params(common_name, names).self_signed(&key).unwrap().der().to_vec()
}

fn everything() -> Vec<SanType> {
    vec![
        SanType::URI(ia5("urn:device:1")),
        SanType::DnsName(ia5("one.example.org")),
        SanType::DnsName(ia5("two.example.org")),
        SanType::Rfc822Name(ia5("one@example.org")),
        SanType::IpAddress("192.0.2.1".parse().unwrap()),
    ]
}

fn settings() -> Tls {
    Tls {
        certificates: Vec::new(),
        unknown_server_name: UnknownName::Default,
        versions: vec![TlsVersion::V12, TlsVersion::V13],
        alpn: Vec::new(),
        client_certificate: ClientCertificate::Required,
        client_ca: Vec::new(),
        client_crl: Vec::new(),
        client_fingerprints: Vec::new(),
        client_name: Vec::new(),
    }
}

fn name(der: &[u8], sources: &[NameSource]) -> Result<Option<String>, String> {
    let tls = Tls { client_name: sources.to_vec(), ..settings() };
    identify(der, &tls).map(|identified| identified.name)
}

fn utf8(text: &str) -> Option<DnValue> {
    Some(DnValue::Utf8String(text.to_owned()))
}

#[test]
fn the_name_is_the_first_of_the_list_that_the_certificate_has() {
    use NameSource::{Cn, Fingerprint, SanDns, SanEmail, SanIp, SanUri};
    let der = der(utf8("device-1"), everything());
    for (sources, expected) in [
        (&[Cn, SanDns][..], "device-1"),
        (&[SanDns, Cn], "one.example.org"),
        (&[SanUri], "urn:device:1"),
        (&[SanEmail], "one@example.org"),
        (&[SanIp], "192.0.2.1"),
    ] {
        assert_eq!(name(&der, sources).unwrap().as_deref(), Some(expected));
    }
    let print = name(&der, &[Fingerprint]).unwrap().unwrap();
    assert_eq!((print.len(), name(&der, &[]).unwrap()), (64, None));
    let plain = self::der(None, vec![SanType::DnsName(ia5("a.example.org"))]);
    assert_eq!(name(&plain, &[Cn, SanEmail, SanDns]).unwrap().as_deref(), Some("a.example.org"));
    let refused = name(&plain, &[Cn, SanIp]).unwrap_err();
    assert!(refused.contains("cn, san-ip"), "{refused}");
}

#[test]
fn authenticators_see_all_names() {
    let certificate =
        identify(&der(utf8("device-1"), everything()), &settings()).unwrap().certificate;
    assert_eq!(certificate.common_name.as_deref(), Some("device-1"));
    assert_eq!(certificate.subject, "O=Example, CN=device-1");
    assert_eq!(certificate.dns_names, ["one.example.org", "two.example.org"]);
    assert_eq!(certificate.uris, ["urn:device:1"]);
    assert_eq!(certificate.emails, ["one@example.org"]);
    assert!(certificate.sha256.is_some());
}

#[test]
fn t7_a_common_name_that_is_no_text_lets_nobody_in() {
    for junk in ["admin\0.example.org", "admin\n", "", "\u{7f}"] {
        let der = der(utf8(junk), everything());
        // Also where another name is asked for: what is wrong with one may be wrong with all.
        for sources in [&[NameSource::Cn][..], &[NameSource::SanDns], &[]] {
            let refused = name(&der, sources).unwrap_err();
            assert!(refused.contains("not a text"), "{refused}");
        }
    }
    // Bytes that are no UTF-8 where the certificate says they are.
    let mut broken = der(utf8("aaaabbbb"), Vec::new());
    // The first one is the issuer's.
    let at = broken.windows(8).rposition(|found| found == b"aaaabbbb").unwrap();
    broken[at] = 0xff;
    assert!(name(&broken, &[NameSource::Cn]).is_err());
}

#[test]
fn t8_more_names_than_anybody_needs_are_refused() {
    let names = |count: usize| -> Vec<SanType> {
        (0..count).map(|number| SanType::DnsName(ia5(&format!("n{number}.example.org")))).collect()
    };
    assert!(name(&der(utf8("many"), names(256)), &[]).is_ok());
    let refused = name(&der(utf8("many"), names(257)), &[]).unwrap_err();
    assert!(refused.contains("257 names: 256 is the most"), "{refused}");
    assert!(name(b"\x30\x03abc", &[]).is_err());
}

#[test]
fn only_pinned_certificates_pass_where_any_is_pinned() {
    let (one, other) = (der(utf8("one"), Vec::new()), der(utf8("one"), Vec::new()));
    let pin = identify(&one, &settings()).unwrap().certificate.sha256.unwrap();
    let tls = Tls { client_fingerprints: vec![pin], ..settings() };
    assert!(identify(&one, &tls).is_ok());
    let refused = identify(&other, &tls).unwrap_err();
    assert!(refused.contains("client_fingerprints"), "{refused}");
}

#[test]
fn t9_the_certificate_shown_is_the_one_for_the_name_that_is_asked_for() {
    let file = |content: String| PemFile {
        written: String::new(),
        path: "x".into(),
        content: content.into_bytes(),
    };
    let pair = |names: &[&str]| {
        let key = KeyPair::generate().unwrap();
        let names = names.iter().map(|name| SanType::DnsName(ia5(name))).collect();
        let certificate = params(None, names).self_signed(&key).unwrap();
        let der = certificate.der().to_vec();
        let (certificate, key) = (file(certificate.pem()), file(key.serialize_pem()));
        (ServerCertificate { certificate, key }, der)
    };
    let (first, a) = pair(&["a.example.org", "both.example.org"]);
    let (second, b) = pair(&["b.example.org", "both.example.org", "*.wild.example.org"]);
    let mut tls = Tls { certificates: vec![first, second], ..settings() };
    let shown = |resolver: &Resolver, name: Option<&str>| {
        resolver.find(name).map(|certified| certified.cert[0].to_vec())
    };
    let resolver = Resolver::new(&tls).unwrap();
    for (name, expected) in [
        (Some("a.example.org"), &a),
        (Some("B.Example.ORG"), &b),
        (Some("both.example.org"), &a),
        (Some("x.wild.example.org"), &b),
        (Some("x.y.wild.example.org"), &a),
        (Some("wild.example.org"), &a),
        (Some("elsewhere"), &a),
        (None, &a),
    ] {
        assert_eq!(shown(&resolver, name).as_ref(), Some(expected), "{name:?}");
    }
    tls.unknown_server_name = UnknownName::Refuse;
    let resolver = Resolver::new(&tls).unwrap();
    assert_eq!(shown(&resolver, Some("a.example.org")), Some(a));
    assert_eq!(shown(&resolver, Some("elsewhere")), None);
    assert_eq!(shown(&resolver, None), None);
    assert!(server_config(&Tls { client_certificate: ClientCertificate::None, ..tls }).is_ok());
}
