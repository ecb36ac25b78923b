//! `[admin]`: what a monitoring system, or `wasmqtt explain` and `wasmqtt reload --dry-run`, ask over HTTP. Reads,
//! changes nothing. Must not know MQTT.

mod metrics;
mod question;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use wasmqtt_core::broker::Broker;
use wasmqtt_sandbox::Sandbox;

use crate::config::Config;
use crate::count::Counters;
use crate::listen::Listeners;
use crate::reload::History;
use crate::worker::Census;

/// Connections at a time; more wait to be accepted.
pub(crate) const CONNECTIONS: usize = 64;
/// Until the head of a request has arrived, and for the answer to one that came late in the life of its connection.
const PATIENCE: Duration = Duration::from_secs(10);
/// After this a connection takes no further request: nobody who is slow keeps a place from others for long.
const LIFE: Duration = Duration::from_secs(60);
/// Until all workers have said what they counted. Who takes longer is stuck.
const ANSWER: Duration = Duration::from_secs(5);
/// Bytes of a request's head.
const HEAD: usize = 16 << 10;

/// What is sent back.
type Reply = Response<Full<Bytes>>;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What can be seen.
pub(crate) struct View {
    pub(crate) broker: Arc<Broker>,
    pub(crate) census: Census,
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) listeners: Arc<Listeners>,
    pub(crate) config: Arc<Mutex<Config>>,
    pub(crate) started: Instant,
    pub(crate) reloads: Arc<History>,
    /// For what takes a thread and instances of plugins: one at a time.
    pub(crate) desk: Semaphore,
}

/// Opens the socket.
///
/// # Errors
/// When it cannot be had.
pub(crate) async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let socket = TcpListener::bind(address).await.with_context(|| {
        format!(
            "cannot listen on {address} ([admin]): is something running there, or may this user not use the port?"
        )
    })?;
    tracing::info!(listener = "[admin]", addr = %socket.local_addr()?, "listening");
    Ok(socket)
}

/// Answers for ever.
pub(crate) async fn serve(socket: TcpListener, view: Arc<View>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    // They end with this task.
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        while connections.try_join_next().is_some() {}
        let stream = match socket.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "[admin] cannot accept a connection; trying again");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let view = Arc::clone(&view);
        connections.spawn(async move {
            attend(stream, &view).await;
            drop(place);
        });
    }
}

async fn attend(stream: TcpStream, view: &View) {
    let service =
        service_fn(|request| async move { Ok::<_, Infallible>(view.answer(request).await) });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    // Who hangs up in the middle has nobody to blame.
    if tokio::time::timeout(LIFE, connection.as_mut()).await.is_err() {
        connection.as_mut().graceful_shutdown();
        let _ = tokio::time::timeout(PATIENCE, connection).await;
    }
}

impl View {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let allowed: &[Method] = match request.uri().path() {
            "/metrics" | "/health" => &[Method::GET, Method::HEAD],
            "/reload" => &[Method::GET, Method::HEAD, Method::POST],
            "/explain" => &[Method::POST],
            _ => {
                let body = "there are /metrics, /health, /explain and /reload\n".into();
                return response(StatusCode::NOT_FOUND, TEXT, body);
            }
        };
        if !allowed.contains(request.method()) {
            let words: Vec<&str> = allowed.iter().map(Method::as_str).collect();
            let words = words.join(", ");
            let mut response =
                response(StatusCode::METHOD_NOT_ALLOWED, TEXT, format!("use {words}\n"));
            if let Ok(words) = HeaderValue::from_str(&words) {
                response.headers_mut().insert(ALLOW, words);
            }
            return response;
        }
        match request.uri().path() {
            "/metrics" => self.metrics().await,
            "/health" => self.health().await,
            "/explain" => question::explain(self, request).await,
            _ if request.method() == Method::POST => question::try_reload(self, request).await,
            _ => self.reload(),
        }
    }

    /// None when not every worker answers.
    async fn counters(&self) -> Option<Counters> {
        tokio::time::timeout(ANSWER, self.census.counters()).await.ok().flatten()
    }

    async fn metrics(&self) -> Reply {
        let Some(counters) = self.counters().await else {
            let body = "a worker does not answer\n".into();
            return response(StatusCode::SERVICE_UNAVAILABLE, TEXT, body);
        };
        let mut text = metrics::Text::default();
        let all = self.listeners.all();
        let listeners = all.iter();
        let turned_away = all
            .iter()
            .flat_map(|it| it.turned_away().map(|(limit, count)| (it.name.as_str(), limit, count)));
        metrics::broker(
            &mut text,
            &counters,
            &metrics::Gauges {
                uptime: self.started.elapsed(),
                connected: self.census.connections(),
                listeners: listeners.map(|it| (it.name.as_str(), it.connections())).collect(),
                turned_away: turned_away.collect(),
                sessions: self.broker.sessions(),
                subscriptions: self.broker.subscriptions(),
                retained: self.broker.retained(),
            },
        );
        metrics::reloads(&mut text, &self.reloads.past());
        let plugins: Vec<_> = self.sandbox.current().plugins().collect();
        metrics::plugins(&mut text, &plugins);
        response(StatusCode::OK, TEXT, text.finish())
    }

    /// What came of the reloads.
    fn reload(&self) -> Reply {
        let body = serde_json::json!(self.reloads.past());
        response(StatusCode::OK, "application/json", format!("{body}\n"))
    }

    async fn health(&self) -> Reply {
        let (status, word) = match self.counters().await {
            Some(_) => (StatusCode::OK, "ok"),
            None => (StatusCode::SERVICE_UNAVAILABLE, "a worker does not answer"),
        };
        let running = self.sandbox.current();
        let suspended = running.plugins().filter(|plugin| plugin.suspended);
        let body = serde_json::json!({
            "status": word,
            "version": env!("CARGO_PKG_VERSION"),
            "suspended_plugins": suspended.map(|plugin| plugin.name).collect::<Vec<_>>(),
            "last_reload": self.reloads.past().last.map(|last| last.outcome),
        });
        response(status, "application/json", format!("{body}\n"))
    }
}

fn response(status: StatusCode, kind: &'static str, body: String) -> Reply {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
