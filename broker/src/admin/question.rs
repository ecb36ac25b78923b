//! What is asked of a running broker with a body of JSON. A page in somebody's browser cannot send that type to another
//! site without asking it first, and this broker allows nobody. Must not know what the answers mean.

use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::{Request, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::SemaphorePermit;

use super::{ANSWER, PATIENCE, Reply, TEXT, View, response};
use crate::explain::{self, Question};
use crate::reload;

/// Bytes of a question: two topics of the longest kind, escaped.
const BODY: usize = 512 << 10;
const JSON: &str = "application/json";

/// Which rule or component decides for a client that has a session.
pub(super) async fn explain(view: &View, request: Request<Incoming>) -> Reply {
    answered(explained(view, request).await)
}

/// What a reload would do now.
pub(super) async fn try_reload(view: &View, request: Request<Incoming>) -> Reply {
    answered(tried(view, request).await)
}

/// A question that is none, and what to tell whoever asked.
type Fault = (StatusCode, String);

async fn explained(view: &View, request: Request<Incoming>) -> Result<String, Fault> {
    let question: Question = parse(&body(request).await?)?;
    explain::check(&question).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    let session = view.broker.session(&question.client_id);
    let client = session.and_then(|session| session.state.lock().client.clone());
    let Some(client) = client else {
        let words = format!("no client `{}` has a session here", question.client_id);
        return Err((StatusCode::NOT_FOUND, words));
    };
    let listener = view.listeners.name(client.listener).unwrap_or_default();
    let _place = place(view).await?;
    let sandbox = std::sync::Arc::clone(&view.sandbox);
    let asked = tokio::task::spawn_blocking(move || {
        explain::explain(&sandbox, &client, &listener, &question)
    });
    let explained = asked.await.map_err(broken)?;
    json(&explained.map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?)
}

async fn tried(view: &View, request: Request<Incoming>) -> Result<String, Fault> {
    let reload::Order { dry_run } = parse(&body(request).await?)?;
    if !dry_run {
        let words =
            "only a dry run can be asked for here; SIGHUP, or a change of the files, reloads";
        return Err((StatusCode::FORBIDDEN, words.into()));
    }
    let _place = place(view).await?;
    json(&reload::rehearse(&view.config, &view.listeners, &view.sandbox).await)
}

async fn body(request: Request<Incoming>) -> Result<Bytes, Fault> {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if kind.is_none_or(|kind| kind.split(';').next().map(str::trim) != Some(JSON)) {
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("send {JSON}")));
    }
    let body = Limited::new(request.into_body(), BODY).collect();
    match tokio::time::timeout(PATIENCE, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(_)) => Err((StatusCode::PAYLOAD_TOO_LARGE, format!("send at most {BODY} bytes"))),
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "the question never ended".into())),
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
}

/// Waits for its turn.
async fn place(view: &View) -> Result<SemaphorePermit<'_>, Fault> {
    let place = tokio::time::timeout(ANSWER, view.desk.acquire()).await;
    place.ok().and_then(Result::ok).ok_or_else(|| {
        (StatusCode::SERVICE_UNAVAILABLE, "another question takes its time; ask again".into())
    })
}

fn json(answer: &impl Serialize) -> Result<String, Fault> {
    serde_json::to_string(answer).map(|text| text + "\n").map_err(broken)
}

fn broken(error: impl std::fmt::Display) -> Fault {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

fn answered(answer: Result<String, Fault>) -> Reply {
    match answer {
        Ok(text) => response(StatusCode::OK, JSON, text),
        Err((status, words)) => response(status, TEXT, words + "\n"),
    }
}
