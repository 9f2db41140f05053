//! Requests and answers of the Admin API.
//!
//! Must not: know what the resources mean.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_HEADERS, ALLOW, CONTENT_TYPE, HeaderName,
    HeaderValue, ORIGIN, SERVER,
};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};

use super::patient::Patient;
use super::{Api, config};
use crate::store::JsonPieces;

/// How long a client may take for a head, and for a body.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
const BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// In which a client must take something of what is sent to it.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);

/// The longest body where the settings have no limit: more than a configuration may be, with its wrapping.
const NO_LIMIT: u64 = 128 << 20;

/// A request, read whole.
pub(super) struct Asked {
    /// The method.
    pub(super) method: Method,
    /// The path, decoded by nobody.
    pub(super) path: String,
    /// The query, without `?`.
    pub(super) query: String,
    /// `Content-Type`, lower-cased up to its parameters.
    pub(super) content_type: String,
    /// `Access-Control-Request-Headers`.
    pub(super) cors_headers: Option<HeaderValue>,
    /// The body.
    pub(super) body: Bytes,
}

/// The body of an answer.
#[derive(Debug)]
pub(super) enum Content {
    /// None (304).
    None,
    /// JSON text.
    Text(String),
    /// JSON text that is made while it is sent.
    Pieces(Box<Paced>),
}

/// How long the next piece of a configuration is waited with. Workers that have just got it fill their caches, and
/// come first.
const PACE: Duration = Duration::from_millis(2);
/// The next piece of a configuration is waited with after one of this length, in bytes: not in small ones.
const LONG: usize = 32 << 10;

/// The pieces of a configuration, one after another in their time.
#[derive(Debug)]
pub(super) struct Paced {
    pieces: JsonPieces,
    /// Until the next piece is due.
    pause: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Paced {
    pub(super) fn new(pieces: JsonPieces) -> Self {
        Self { pieces, pause: None }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<String>> {
        if let Some(pause) = &mut self.pause {
            std::task::ready!(pause.as_mut().poll(cx));
        }
        let piece = self.pieces.next();
        let long = piece.as_ref().is_some_and(|piece| piece.len() >= LONG);
        self.pause = long.then(|| Box::pin(tokio::time::sleep(PACE)));
        Poll::Ready(piece)
    }
}

/// An answer: status, JSON text, further headers.
pub(super) struct Answer {
    /// The status.
    pub(super) status: StatusCode,
    /// The body.
    pub(super) body: Content,
    /// Further headers.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Answer {
    /// A status and its JSON.
    pub(super) fn new(status: StatusCode, body: String) -> Self {
        Self {
            status,
            body: Content::Text(body),
            headers: Vec::new(),
        }
    }

    /// A status and a message.
    pub(super) fn message(status: StatusCode, message: &str) -> Self {
        Self::new(status, json!({ "message": message }).to_string())
    }
}

/// Serves one connection to its end.
pub(super) async fn connection<S>(stream: S, api: Api)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let answer = service_fn(move |request| {
        let api = api.clone();
        async move { Ok::<_, Infallible>(respond(request, &api).await) }
    });
    // a client that breaks off is none of our business
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(Patient::new(stream, SEND_TIMEOUT)), answer)
        .await;
}

async fn respond(request: Request<Incoming>, api: &Api) -> Response<Content> {
    let begun = Instant::now();
    let origin = request.headers().get(ORIGIN).cloned();
    let answer = match read(request, api.max_body).await {
        Ok(asked) => route(asked, api).await,
        Err(refused) => refused,
    };
    let mut response = Response::new(answer.body);
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=utf-8"),
    );
    headers.insert(
        SERVER,
        HeaderValue::from_static(concat!("moongate/", env!("CARGO_PKG_VERSION"))),
    );
    headers.insert(
        ACCESS_CONTROL_ALLOW_ORIGIN,
        origin.unwrap_or(HeaderValue::from_static("*")),
    );
    headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    let took = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    headers.insert("x-kong-admin-latency", HeaderValue::from(took));
    headers.extend(answer.headers);
    response
}

async fn route(asked: Asked, api: &Api) -> Answer {
    match asked.path.trim_end_matches('/') {
        "/config" => match asked.method {
            Method::OPTIONS => options(config::METHODS, &asked),
            _ => config::answer(asked, api).await,
        },
        _ => Answer::message(StatusCode::NOT_FOUND, "Not found"),
    }
}

/// What a browser asks before it asks for a resource with these methods.
fn options(methods: &'static str, asked: &Asked) -> Answer {
    let wanted = asked.cors_headers.clone();
    Answer {
        status: StatusCode::NO_CONTENT,
        body: Content::None,
        headers: vec![
            (ALLOW, HeaderValue::from_static(methods)),
            (ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods)),
            (
                ACCESS_CONTROL_ALLOW_HEADERS,
                wanted.unwrap_or(HeaderValue::from_static("Content-Type")),
            ),
        ],
    }
}

fn content_type(headers: &HeaderMap) -> String {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    match value.split_once(';') {
        Some((kind, parameters)) => format!("{};{parameters}", kind.trim().to_ascii_lowercase()),
        None => value.trim().to_ascii_lowercase(),
    }
}

async fn read(request: Request<Incoming>, max: u64) -> Result<Asked, Answer> {
    let (head, body) = request.into_parts();
    let max = if max == 0 { NO_LIMIT } else { max.min(NO_LIMIT) };
    let bytes = tokio::time::timeout(BODY_TIMEOUT, collect(body, max))
        .await
        .map_err(|_| Answer::message(StatusCode::REQUEST_TIMEOUT, "Request timeout"))??;
    Ok(Asked {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        content_type: content_type(&head.headers),
        cors_headers: head.headers.get(ACCESS_CONTROL_REQUEST_HEADERS).cloned(),
        body: bytes,
    })
}

/// The most that is set aside for a body before it has come.
const ROOM: usize = 16 << 20;

async fn collect(mut body: Incoming, max: u64) -> Result<Bytes, Answer> {
    let told = usize::try_from(body.size_hint().lower().min(max)).unwrap_or(0);
    let mut whole = Vec::with_capacity(told.min(ROOM));
    loop {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        match frame {
            None => return Ok(Bytes::from(whole)),
            Some(Err(_)) => return Err(Answer::message(StatusCode::BAD_REQUEST, "Bad request")),
            Some(Ok(frame)) => {
                let data = frame.into_data().unwrap_or_default();
                if whole.len() as u64 + data.len() as u64 > max {
                    let message = "Request body too large";
                    return Err(Answer::message(StatusCode::PAYLOAD_TOO_LARGE, message));
                }
                whole.extend_from_slice(&data);
            }
        }
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let text = match &mut *self {
            Self::None => None,
            Self::Text(text) => Some(std::mem::take(text)),
            Self::Pieces(pieces) => std::task::ready!(pieces.poll_next(cx)),
        };
        if !matches!(*self, Self::Pieces(_)) {
            *self = Self::None;
        }
        Poll::Ready(text.map(|text| Ok(Frame::data(Bytes::from(text)))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::None)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self {
            Self::None => http_body::SizeHint::with_exact(0),
            Self::Text(text) => http_body::SizeHint::with_exact(text.len() as u64),
            Self::Pieces(_) => http_body::SizeHint::default(),
        }
    }
}
