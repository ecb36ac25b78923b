//! A web service of the test's own. Must not know what it is asked for.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::PATIENCE;
use super::tls::Issued;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// With the query.
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| &**value)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// What is answered: a status, headers and a body.
#[derive(Clone, Debug)]
pub(crate) struct Reply(pub(crate) u16, pub(crate) Vec<(String, String)>, pub(crate) Vec<u8>);

impl Reply {
    pub(crate) fn new(status: u16) -> Self {
        Self(status, Vec::new(), Vec::new())
    }

    pub(crate) fn text(status: u16, body: &str) -> Self {
        Self(status, Vec::new(), body.into())
    }

    pub(crate) fn json(body: &str) -> Self {
        Self(200, vec![("content-type".into(), "application/json".into())], body.into())
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.1.push((name.into(), value.into()));
        self
    }
}

/// A server that lives until the process ends, each connection on a thread of its own.
pub(crate) struct Web {
    scheme: &'static str,
    addr: SocketAddr,
    asked: Arc<(Mutex<Vec<Asked>>, Condvar)>,
}

impl Web {
    /// Answers with what `answer` says, as long as that takes.
    pub(crate) fn serve(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::open("http", Some, answer)
    }

    /// The same over TLS, as a server with this certificate.
    pub(crate) fn serve_tls(
        issued: &Issued,
        answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![issued.der()], key)
            .unwrap();
        let config = Arc::new(config);
        let seal = move |stream| {
            let session = ServerConnection::new(Arc::clone(&config)).unwrap();
            Some(StreamOwned::new(session, stream))
        };
        Self::open("https", seal, answer)
    }

    fn open<S: Read + Write + Send + 'static>(
        scheme: &'static str,
        wrap: impl Fn(TcpStream) -> Option<S> + Send + Sync + 'static,
        answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let (asked, answer) = (Arc::<(Mutex<Vec<Asked>>, Condvar)>::default(), Arc::new(answer));
        let seen = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok).filter_map(wrap) {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let mut reader = BufReader::new(stream);
                    while let Some(request) = read(&mut reader) {
                        seen.0.lock().unwrap().push(request.clone());
                        seen.1.notify_all();
                        let reply = answer(&request);
                        if write(reader.get_mut(), &request, &reply).is_none() {
                            return;
                        }
                    }
                });
            }
        });
        Self { scheme, addr, asked }
    }

    /// Without a slash at its end.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.addr)
    }

    /// Every request so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.0.lock().unwrap().clone()
    }

    /// How many requests there were for paths that begin like this.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.asked().iter().filter(|asked| asked.path.starts_with(path)).count()
    }

    /// Waits until there were so many.
    pub(crate) fn wait_for(&self, path: &str, count: usize) {
        let start = Instant::now();
        let mut asked = self.asked.0.lock().unwrap();
        while asked.iter().filter(|asked| asked.path.starts_with(path)).count() < count {
            let left = PATIENCE.checked_sub(start.elapsed());
            let left = left.unwrap_or_else(|| panic!("{path} was not asked for {count} times"));
            asked = self.asked.1.wait_timeout(asked, left).unwrap().0;
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Asked> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.map_or(0, |(_, length)| length.parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { method, path, headers, body })
}

fn write(
    stream: &mut impl Write,
    request: &Asked,
    Reply(status, headers, body): &Reply,
) -> Option<()> {
    let mut text = format!("HTTP/1.1 {status} X\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if *status != 204 {
        text.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    if request.method != "HEAD" && *status != 204 {
        bytes.extend_from_slice(body);
    }
    stream.write_all(&bytes).and_then(|()| stream.flush()).ok()
}

/// Holds whoever comes until it is opened.
#[derive(Clone, Default)]
pub(crate) struct Barrier(Arc<(Mutex<bool>, Condvar)>);

impl Barrier {
    pub(crate) fn pass(&self) {
        let open = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(open, |open| !*open).unwrap());
    }

    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
}
