//! Pages with MQTT.js in a browser, by WebSocket and by secure WebSocket.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::Broker;
use crate::harness::browser::Browser;
use crate::harness::config::{LOSSLESS, open_listener, plugin};
use crate::harness::program::installed;
use crate::harness::root;
use crate::harness::tls::{Authority, Issued};
use crate::harness::web::{Barrier, Reply, Web};

const PAGE: &str = "<!doctype html><meta charset=utf-8><title>wasmqtt</title>\n\
    <script src=mqtt.js></script>\n<script type=module src=page.mjs></script>\n";

/// A web server with one page, whose task is known later.
struct Site {
    web: Web,
    task: std::sync::mpsc::Sender<Value>,
    /// What the page waits for in the middle of its task.
    reloaded: Barrier,
}

impl Site {
    fn open() -> Self {
        let mqtt = installed("WASMQTT_NODE_MODULES").join("mqtt/dist/mqtt.min.js");
        let mqtt = std::fs::read(mqtt).unwrap();
        let page = std::fs::read(root().join("tests/it/clients/page.mjs")).unwrap();
        let (task, tasks) = std::sync::mpsc::channel::<Value>();
        let tasks = std::sync::Mutex::new(tasks);
        let reloaded = Barrier::default();
        let passed = reloaded.clone();
        let web = Web::serve(move |asked| {
            let file = |kind: &str, content: &[u8]| {
                Reply(200, vec![("content-type".into(), kind.into())], content.into())
            };
            match asked.path.as_str() {
                "/" => file("text/html", PAGE.as_bytes()),
                "/mqtt.js" => file("text/javascript", &mqtt),
                "/page.mjs" => file("text/javascript", &page),
                "/task" => Reply::json(&tasks.lock().unwrap().recv().unwrap().to_string()),
                "/reloaded" => {
                    passed.pass();
                    Reply::new(204)
                }
                "/report" => Reply::new(204),
                _ => Reply::new(404),
            }
        });
        Self { web, task, reloaded }
    }

    /// Opens the page and gives it its task.
    fn show(&self, task: &Value, pin: Option<&str>) -> Browser {
        self.task.send(task.clone()).unwrap();
        Browser::open(&self.web.url(), pin)
    }

    fn is_ok(&self) {
        self.web.wait_for("/report", 1);
        let asked = self.web.asked();
        let report = asked.iter().find(|asked| asked.path == "/report").unwrap();
        assert_eq!(report.text(), "ok");
    }
}

/// Listeners `ws` and `wss` for pages from `origin`, whose messages are moved from `page/` to `moved`.
fn config(origin: &str, moved: &str) -> String {
    let more =
        format!("transform = [\"router\"]\nwebsocket = {{ origins = [\"{origin}\"] }}\nprotocol");
    let tls = "tls = { certificate = \"server.pem\", key = \"server.key\" }";
    let rule = format!(
        "grants = {{ topics = [\"{moved}/#\"] }}\n[[plugin.config.rules]]\n\
         when = {{ filter = \"page/#\" }}\ntopic = \"{moved}/${{1}}\"\n"
    );
    [
        open_listener("ws", &format!("{more} = \"ws\"")),
        open_listener("wss", &format!("{more} = \"wss\"\n{tls}")),
        plugin("router", "property_router", &rule),
        LOSSLESS.to_owned(),
    ]
    .concat()
}

/// A broker for pages of this site, and its certificate.
fn broker(site: &Site) -> (Broker, Issued) {
    let dir = TempDir::new().unwrap();
    let server = Authority::new("ours").server("x");
    server.write(dir.path(), "server");
    (Broker::start_in(dir, &config(&site.web.url(), "first")), server)
}

fn url(broker: &Broker, protocol: &str) -> String {
    format!("{protocol}://127.0.0.1:{}/mqtt", broker.addr_of(protocol).port())
}

#[test]
fn a_page_exchanges_messages_in_every_version_and_stays_while_plugins_are_replaced() {
    let site = Site::open();
    let (broker, server) = broker(&site);
    let mark = broker.mark();
    let urls = [url(&broker, "ws"), url(&broker, "wss")];
    let task = json!({ "kind": "ways", "urls": urls, "before": "first", "after": "second" });
    let _browser = site.show(&task, Some(&server.pin()));
    site.web.wait_for("/re", 1);
    // Either it waits for the reload, or it reports that it did not come so far.
    if site.web.count("/reloaded") == 1 {
        broker.reload(&config(&site.web.url(), "second"));
        site.reloaded.open();
    }
    site.is_ok();
    let lines = broker.lines(mark);
    let entered = lines.iter().filter(|line| line.message() == "client connected");
    // A publisher and a subscriber for each way and version, and twice one that comes late.
    assert_eq!(entered.count(), 2 * 3 * (2 + 2));
}

#[test]
fn a_page_of_another_origin_is_refused() {
    let (ours, theirs) = (Site::open(), Site::open());
    let (broker, server) = broker(&ours);
    let mark = broker.mark();
    let urls = [url(&broker, "ws"), url(&broker, "wss")];
    let task = json!({ "kind": "refused", "urls": urls });
    let _browser = theirs.show(&task, Some(&server.pin()));
    theirs.is_ok();
    for listener in ["ws", "wss"] {
        let refused = |line: &crate::harness::broker::Line| {
            line.message() == "connection refused" && line.field("listener") == listener
        };
        let line = broker.wait_until(mark, refused, "the refusal");
        let reason = line.field("reason");
        assert!(
            reason.contains("may not connect") && reason.contains(&theirs.web.url()),
            "{reason}"
        );
    }
}

#[test]
fn a_page_does_not_enter_a_broker_whose_certificate_its_browser_does_not_know() {
    let site = Site::open();
    let (broker, _) = broker(&site);
    let mark = broker.mark();
    let task = json!({ "kind": "refused", "urls": [url(&broker, "wss")] });
    let _browser = site.show(&task, None);
    site.is_ok();
    let line = broker.wait_for(mark, "connection refused");
    assert!(line.field("reason").contains("CertificateUnknown"), "{}", line.text());
}
