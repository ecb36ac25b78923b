//! `listener.tls`: every file is read and looked at, so that what is wrong with one is said with its name and line.

use std::{path::Path, time::SystemTime};

use super::{
    super::{
        file,
        model::{
            ClientCertificate, NameSource, PemFile, Protocol, ServerCertificate, Tls, TlsVersion,
            UnknownName,
        },
        pem,
        problem::{Place, quote, quote_path},
    },
    fields::{Fields, Reporter, Text, suggestion},
    plugin::hex,
    plugin_config::read_at_most,
};

const OWNER: &str = "listener.tls";
/// Bytes of one file.
const MAX_FILE: u64 = 8 << 20;
/// Certificates of one server.
const MAX_CERTIFICATES: usize = 64;
const MAX_FINGERPRINTS: usize = 1024;
/// A certificate that ends within this is worth a warning, in seconds.
const SOON: i64 = 14 * 24 * 60 * 60;

/// `listener.tls`, where the protocol has it. None when something is wrong.
pub(super) fn tls(
    listener: &mut Fields<'_>,
    protocol: Option<Protocol>,
    reporter: &Reporter<'_>,
) -> Option<Tls> {
    let before = reporter.errors();
    let wanted = protocol.is_none_or(Protocol::is_tls);
    let is_set = listener.has("tls");
    if let Some(protocol) = protocol
        && is_set
        && !wanted
    {
        let place = listener.entry("tls").map_or(listener.place, |entry| entry.key);
        let message = format!("`listener.tls` means nothing with protocol \"{protocol}\"");
        reporter.error(place, message, Some("remove it, or use protocol = \"tls\"".into()));
    }
    if protocol.is_some_and(Protocol::is_tls) && !is_set && !reporter.incomplete {
        let message = "this listener has no certificate";
        let help = "add tls = { certificate = \"server.pem\", key = \"server.key\" }";
        reporter.error(listener.place, message, Some(help.into()));
    }
    let mut fields = listener.table("tls");
    let tls = (is_set && wanted).then(|| read(&mut fields, protocol, reporter));
    if tls.is_some() {
        fields.finish();
    }
    tls.filter(|_| reporter.errors() == before)
}

fn read(fields: &mut Fields<'_>, protocol: Option<Protocol>, reporter: &Reporter<'_>) -> Tls {
    let mut certificates: Vec<ServerCertificate> = pair(fields, reporter).into_iter().collect();
    for mut more in fields.tables("sni", MAX_CERTIFICATES - 1) {
        certificates.extend(pair(&mut more, reporter));
        more.finish();
    }
    let own = match protocol {
        Some(Protocol::Wss) => "http/1.1",
        _ => "mqtt",
    };
    let client_certificate = fields
        .word("client_certificate", ClientCertificate::WORDS)
        .unwrap_or(ClientCertificate::None);
    let before = reporter.errors();
    let versions = words(fields, "versions", TlsVersion::WORDS, reporter)
        .unwrap_or_else(|| vec![TlsVersion::V12, TlsVersion::V13]);
    if versions.is_empty() && reporter.errors() == before {
        let message = "`listener.tls.versions` is empty: nobody could connect";
        reporter.error(fields.place_of("versions"), message, None);
    }
    let tls = Tls {
        certificates,
        unknown_server_name: fields
            .word("unknown_server_name", UnknownName::WORDS)
            .unwrap_or(UnknownName::Default),
        versions,
        alpn: alpn(fields, reporter).unwrap_or_else(|| vec![own.to_owned()]),
        client_certificate,
        client_ca: cas(fields, (OWNER, "client_ca"), reporter),
        client_crl: files(fields, (OWNER, "client_crl"), reporter, |content| {
            pem::crls(content).map(|_| ())
        }),
        client_fingerprints: fingerprints(fields, reporter),
        client_name: words(fields, "client_name", NameSource::WORDS, reporter).unwrap_or_default(),
    };
    clients(fields, &tls, reporter);
    tls
}

/// What is said of clients must fit together.
fn clients(fields: &Fields<'_>, tls: &Tls, reporter: &Reporter<'_>) {
    if tls.client_certificate == ClientCertificate::None {
        for key in ["client_ca", "client_crl", "client_fingerprints", "client_name"] {
            if fields.has(key) {
                let message = format!(
                    "`listener.tls.{key}` means nothing: clients are not asked for a certificate"
                );
                let help = "set client_certificate = \"required\" or \"optional\"";
                reporter.error(fields.place_of(key), message, Some(help.into()));
            }
        }
    } else if !fields.has("client_ca") {
        let message = "`client_ca` is missing from this listener.tls: no certificate of a client could be valid";
        let help = "add client_ca = [\"clients-ca.pem\"]";
        reporter.error(fields.place_of("client_certificate"), message, Some(help.into()));
    }
}

/// `certificate` and `key`.
fn pair(fields: &mut Fields<'_>, reporter: &Reporter<'_>) -> Option<ServerCertificate> {
    let certificate = fields.required("certificate", "\"server.pem\"");
    let key = fields.required("key", "\"server.key\"");
    let certificate = certificate.and_then(|text| Some((text, load(text, reporter)?)));
    let key = key.and_then(|text| Some((text, load(text, reporter)?)));
    let chain = certificate.as_ref().and_then(|(text, file)| {
        let chain = judged(*text, file, reporter, pem::chain(&file.content))?;
        ends_soon(*text, file, chain.first().and_then(pem::end), reporter);
        Some(chain)
    });
    let secret = key
        .as_ref()
        .and_then(|(text, file)| judged(*text, file, reporter, pem::key(&file.content)));
    if let (Some(chain), Some(secret), Some((text, file))) = (chain, secret, key.as_ref()) {
        judged(*text, file, reporter, pem::certified(chain, secret))?;
    }
    Some(ServerCertificate { certificate: certificate?.1, key: key?.1 })
}

fn ends_soon(text: Text<'_>, file: &PemFile, end: Option<i64>, reporter: &Reporter<'_>) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let left = end.map(|end| end.saturating_sub_unsigned(now.as_secs()));
    let name = quote_path(&file.path);
    let message = match left {
        Some(..0) => format!("the certificate in {name} has expired: clients will refuse it"),
        Some(left @ 0..SOON) => {
            format!("the certificate in {name} expires in {} days", left / (24 * 60 * 60))
        }
        _ => return,
    };
    reporter.warning(
        text.place,
        message,
        Some("renew it; the broker takes it from the file".into()),
    );
}

/// Certificates of CAs; `owner` is the table that has this key.
pub(super) fn cas(
    fields: &mut Fields<'_>,
    (owner, key): (&str, &'static str),
    reporter: &Reporter<'_>,
) -> Vec<PemFile> {
    files(fields, (owner, key), reporter, |content| pem::add_roots(&mut pem::no_roots(), content))
}

/// An array of files that are what `check` wants.
fn files(
    fields: &mut Fields<'_>,
    (owner, key): (&str, &'static str),
    reporter: &Reporter<'_>,
    check: impl Fn(&[u8]) -> Result<(), String>,
) -> Vec<PemFile> {
    let texts = fields.texts(key).unwrap_or_default();
    if texts.is_empty() && fields.has(key) {
        let message = format!("`{owner}.{key}` is empty");
        reporter.error(fields.place_of(key), message, Some("remove it, or name a file".into()));
    }
    if let Some(beyond) = texts.get(MAX_CERTIFICATES) {
        let message =
            format!("`{key}` has {} entries: {MAX_CERTIFICATES} is the most", texts.len());
        reporter.error(beyond.place, message, None);
    }
    let read = texts.into_iter().take(MAX_CERTIFICATES).filter_map(|text| {
        let file = load(text, reporter)?;
        judged(text, &file, reporter, check(&file.content))?;
        Some(file)
    });
    read.collect()
}

fn load(text: Text<'_>, reporter: &Reporter<'_>) -> Option<PemFile> {
    let named_in = reporter.sources.path(text.place).to_owned();
    let path = file::resolve(Path::new(text.text), &named_in);
    let name = quote_path(&path);
    let problem = match read_at_most(&path, MAX_FILE + 1) {
        Ok(content) if content.len() as u64 <= MAX_FILE => {
            return Some(PemFile { written: text.text.to_owned(), path, content });
        }
        Ok(_) => format!("{name} is too long: {} MiB is the most", MAX_FILE >> 20),
        Err(error) => format!("cannot read {name}: {error}"),
    };
    reporter.error(text.place, problem, None);
    None
}

/// What was made of a file, or an error that names it.
fn judged<T>(
    text: Text<'_>,
    file: &PemFile,
    reporter: &Reporter<'_>,
    made: Result<T, String>,
) -> Option<T> {
    made.inspect_err(|why| {
        reporter.error(
            text.place,
            format!("{} cannot be used: {why}", quote_path(&file.path)),
            None,
        );
    })
    .ok()
}

fn fingerprints(fields: &mut Fields<'_>, reporter: &Reporter<'_>) -> Vec<[u8; 32]> {
    let texts = fields.texts("client_fingerprints").unwrap_or_default();
    if let Some(beyond) = texts.get(MAX_FINGERPRINTS) {
        let message = format!(
            "`client_fingerprints` has {} entries: {MAX_FINGERPRINTS} is the most",
            texts.len()
        );
        reporter.error(beyond.place, message, None);
    }
    let read = texts.into_iter().filter_map(|text| {
        // As OpenSSL prints them, too.
        let digest = hex(&text.text.replace(':', ""));
        if digest.is_none() {
            let message = format!(
                "`listener.tls.client_fingerprints`: {} is not a SHA-256",
                quote(text.text)
            );
            reporter.error(text.place, message, Some("write 64 hexadecimal digits".into()));
        }
        digest
    });
    read.collect()
}

/// RFC 7301: 1 to 255 bytes each.
fn alpn(fields: &mut Fields<'_>, reporter: &Reporter<'_>) -> Option<Vec<String>> {
    let texts = fields.texts("alpn")?;
    let read = texts.into_iter().filter_map(|Text { text, place }| {
        let valid = (1..=255).contains(&text.len());
        if !valid {
            let message = format!("`listener.tls.alpn`: {} is no protocol", quote(text));
            reporter.error(place, message, Some("write 1 to 255 bytes, as in \"mqtt\"".into()));
        }
        valid.then(|| text.to_owned())
    });
    Some(read.collect())
}

/// A list of known words, each once.
fn words<T: Copy + PartialEq>(
    fields: &mut Fields<'_>,
    key: &'static str,
    known: &'static [(&'static str, T)],
    reporter: &Reporter<'_>,
) -> Option<Vec<T>> {
    let mut found = Vec::new();
    for Text { text, place } in fields.texts(key)? {
        match known.iter().find(|(word, _)| *word == text) {
            Some((_, value)) if found.contains(value) => twice(key, text, place, reporter),
            Some((_, value)) => found.push(*value),
            None => {
                let message = format!("`listener.tls.{key}` cannot name {}", quote(text));
                let help = suggestion(text, known.iter().map(|(word, _)| *word));
                reporter.error(place, message, help);
            }
        }
    }
    Some(found)
}

fn twice(key: &str, text: &str, place: Place, reporter: &Reporter<'_>) {
    let message = format!("`listener.tls.{key}` names {} twice", quote(text));
    reporter.error(place, message, None);
}
