//! Plugins that ask web services of the operator's own: over TLS, with certificates of a private CA.

use std::path::Path;

use wasmqtt_codec::{Connect, Version};

use crate::harness::config::{open_listener, plugin};
use crate::harness::tls::Authority;
use crate::harness::web::{Reply, Web};
use crate::harness::{Broker, Client};

/// A broker in `dir` where the guest asks `web` about whoever comes, and trusts what is in these files.
fn entrance(dir: tempfile::TempDir, web: &Web, files: &str) -> Broker {
    let listener = open_listener("mqtt", "authenticate = [\"caller\"]");
    Broker::start_in(dir, &format!("{listener}{}", caller(web, files)))
}

fn caller(web: &Web, files: &str) -> String {
    let url = web.url();
    let ca = if files.is_empty() { String::new() } else { format!(", http_ca = [{files}]") };
    let keys =
        format!("grants = {{ http = [\"{url}/x/\"]{ca} }}\n[plugin.config]\nurl = \"{url}/x\"\n");
    plugin("caller", "caller", &keys)
}

fn enter(broker: &Broker, id: &str) -> u8 {
    Client::connect(broker.addr(), &Connect::new(Version::V5, id)).1.code
}

fn write(dir: &Path, name: &str, text: &str) {
    std::fs::write(dir.join(name), text).unwrap();
}

#[test]
fn a_web_service_with_a_certificate_of_a_private_ca_is_asked_once_the_ca_is_named_and_until_it_changes()
 {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let web = Web::serve_tls(&ours.server("web.internal"), |_| Reply::new(200));
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "ours.pem", &ours.certificate);
    write(dir.path(), "other.pem", &other.certificate);
    let broker = entrance(dir, &web, "\"other.pem\", \"ours.pem\"");
    for id in ["a", "b"] {
        assert_eq!(enter(&broker, id), 0);
    }
    assert_eq!(web.count("/x/authenticate/"), 2);

    // Another CA in the file, and nobody vouches for the service any more: also not what is connected already.
    let mark = broker.mark();
    write(broker.dir(), "ours.pem", &other.certificate);
    broker.wait_for(mark, "reload applied");
    let mark = broker.mark();
    assert_eq!(enter(&broker, "c"), 0x88);
    let line = broker.wait_for(mark, "gave no answer");
    assert!(line.holds("none of the CAs in `grants.http_ca` vouches for it"), "{}", line.text());
    assert_eq!(web.count("/x/authenticate/"), 2);
}

#[test]
fn a_certificate_that_is_not_accepted_is_refused_and_the_log_says_why() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let elsewhere = {
        let names = vec!["elsewhere.example".to_owned()];
        ours.issue(rcgen::CertificateParams::new(names).unwrap())
    };
    let web = Web::serve_tls(&ours.server("web.internal"), |_| Reply::new(200));
    let named_otherwise = Web::serve_tls(&elsewhere, |_| Reply::new(200));
    for (web, files, why) in [
        (&web, "", "name the file of a private one in `grants.http_ca`"),
        (&web, "\"other.pem\"", "none of the CAs in `grants.http_ca` vouches for it"),
        (&named_otherwise, "\"ours.pem\"", "its certificate is not accepted"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "ours.pem", &ours.certificate);
        write(dir.path(), "other.pem", &other.certificate);
        let broker = entrance(dir, web, files);
        let mark = broker.mark();
        assert_eq!(enter(&broker, "c"), 0x88, "{why}");
        let line = broker.wait_for(mark, "gave no answer");
        assert!(
            line.holds(why) && line.holds("its certificate is not accepted"),
            "{}",
            line.text()
        );
        assert!(web.asked().is_empty());
    }
}
