//! The embedded echo upstream: answers as JSON what it saw, so that a newcomer needs no other server.
//!
//! Its own small HTTP/1.1 loop keeps header order and case, and can misbehave on request (see [`Conn::answer`]).
//! Over TLS ([`tls`]) it demands a client certificate and tells which one came.
//! Must not: be on the way of real traffic, or trust its peer: heads and kept bodies are bounded.

pub mod material;
pub mod tls;

use std::io;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

use tls::Acceptor;

const HEAD_LIMIT: usize = 256 << 10;
const HEADERS_LIMIT: usize = 1024;
const BODY_KEPT: usize = 64 << 10;
const LINE_LIMIT: usize = 8 << 10;
const PIECE: [u8; 16 << 10] = [b'x'; 16 << 10];

/// What an echo says of its connection, beside the request: names and values.
type About = Vec<(&'static str, Value)>;

/// Accepts and answers until the task is dropped; over TLS where there is an acceptor.
pub async fn serve(listener: TcpListener, acceptor: Option<Acceptor>) {
    loop {
        match listener.accept().await {
            // A client that goes away is none of our business.
            Ok((stream, _)) => {
                let acceptor = acceptor.clone();
                let conversation = async move {
                    stream.set_nodelay(true)?;
                    let port = ("port", json!(stream.local_addr()?.port()));
                    match acceptor {
                        None => Conn::new(stream, vec![port]).run().await,
                        Some(acceptor) => {
                            let (stream, mut about) = acceptor.accept(stream).await?;
                            about.insert(0, port);
                            Conn::new(stream, about).run().await
                        }
                    }
                };
                drop(tokio::spawn(async move { conversation.await.ok() }));
            }
            // Out of file descriptors, most likely: try again when some were given back.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

struct Head {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    length: u64,
    chunked: bool,
    close: bool,
    expects_continue: bool,
}

#[derive(Default)]
struct Body {
    kept: Vec<u8>,
    length: u64,
    trailers: Vec<(String, String)>,
}

impl Body {
    fn take(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        let room = BODY_KEPT.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl Head {
    fn parse(bytes: &[u8]) -> io::Result<Self> {
        let mut slots = vec![httparse::EMPTY_HEADER; HEADERS_LIMIT];
        let mut parsed = httparse::Request::new(&mut slots);
        parsed.parse(bytes).map_err(|e| bad(&e.to_string()))?;
        let target = parsed.path.unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let headers: Vec<(String, String)> = parsed
            .headers
            .iter()
            .map(|h| (h.name.to_owned(), String::from_utf8_lossy(h.value).into_owned()))
            .collect();
        let value = |name: &str| {
            headers
                .iter()
                .find(|(n, _)| n.eq_ignore_ascii_case(name))
                .map_or("", |(_, v)| v.as_str())
        };
        let says = |name: &str, word: &str| value(name).to_ascii_lowercase().contains(word);
        Ok(Self {
            method: parsed.method.unwrap_or_default().to_owned(),
            length: value("content-length").trim().parse().unwrap_or(0),
            chunked: says("transfer-encoding", "chunked"),
            close: says("connection", "close")
                || parsed.version == Some(0) && !says("connection", "keep-alive"),
            expects_continue: says("expect", "100-continue"),
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
        })
    }
}

struct Conn<S> {
    stream: S,
    about: About,
    buf: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Conn<S> {
    fn new(stream: S, about: About) -> Self {
        Self {
            stream,
            about,
            buf: Vec::new(),
        }
    }

    async fn run(mut self) -> io::Result<()> {
        while let Some(head) = self.head().await? {
            if head.expects_continue {
                self.write(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            }
            let body = self.body(&head).await?;
            if !self.answer(&head, &body).await? || head.close {
                break;
            }
        }
        self.stream.shutdown().await
    }

    /// Writes all of it, out of TLS's buffers too.
    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Reads more into the buffer; false at the end of the stream.
    async fn fill(&mut self) -> io::Result<bool> {
        Ok(self.stream.read_buf(&mut self.buf).await? > 0)
    }

    async fn head(&mut self) -> io::Result<Option<Head>> {
        loop {
            if let Some(end) = memchr::memmem::find(&self.buf, b"\r\n\r\n") {
                let head = Head::parse(&self.buf[..end + 4])?;
                self.buf.drain(..end + 4);
                return Ok(Some(head));
            }
            if self.buf.len() > HEAD_LIMIT {
                return Err(bad("head too long"));
            }
            if !self.fill().await? {
                return Ok(None);
            }
        }
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = memchr::memmem::find(&self.buf, b"\r\n") {
                let line = String::from_utf8_lossy(&self.buf[..end]).into_owned();
                self.buf.drain(..end + 2);
                return Ok(line);
            }
            if self.buf.len() > LINE_LIMIT || !self.fill().await? {
                return Err(bad("line"));
            }
        }
    }

    async fn exactly(&mut self, mut left: u64, body: &mut Body) -> io::Result<()> {
        while left > 0 {
            if self.buf.is_empty() && !self.fill().await? {
                return Err(bad("short body"));
            }
            let n = usize::try_from(left).unwrap_or(usize::MAX).min(self.buf.len());
            body.take(&self.buf[..n]);
            self.buf.drain(..n);
            left -= n as u64;
        }
        Ok(())
    }

    async fn body(&mut self, head: &Head) -> io::Result<Body> {
        let mut body = Body::default();
        if !head.chunked {
            self.exactly(head.length, &mut body).await?;
            return Ok(body);
        }
        loop {
            let line = self.line().await?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(size, 16).map_err(|_| bad("chunk size"))?;
            if size == 0 {
                break;
            }
            self.exactly(size, &mut body).await?;
            self.line().await?;
        }
        loop {
            let line = self.line().await?;
            match line.split_once(':') {
                Some((name, value)) if body.trailers.len() < HEADERS_LIMIT => {
                    body.trailers.push((name.to_owned(), value.trim().to_owned()));
                }
                Some(_) => return Err(bad("too many trailers")),
                None => return Ok(body),
            }
        }
    }

    /// Answers; false ends the connection. The path may ask for more than an echo: `/status/CODE`, `/delay/MS`,
    /// `/bytes/N`, `/chunked/N`, `/trailers`, `/drip/N`, `/headers?Name=value`, `/hints` (a 103 first), `/reset`.
    async fn answer(&mut self, head: &Head, body: &Body) -> io::Result<bool> {
        let mut words = head.path.trim_start_matches('/').split('/');
        let (verb, number) = (words.next().unwrap_or_default(), words.next());
        let number: Option<u64> = number.and_then(|n| n.parse().ok());
        let about = std::mem::take(&mut self.about);
        let seen = || echo(head, body, &about);
        match (verb, number) {
            ("status", Some(code @ 200..=999)) => self.whole(head, code, "", &seen()).await?,
            ("delay", Some(ms)) => {
                tokio::time::sleep(Duration::from_millis(ms.min(60_000))).await;
                self.whole(head, 200, "", &seen()).await?;
            }
            ("bytes", Some(n)) => self.bytes(head, n).await?,
            ("chunked", Some(n)) => self.chunks(head, n, 0, "").await?,
            ("drip", n) => self.chunks(head, n.unwrap_or(5), 100, "").await?,
            ("trailers", _) => self.chunks(head, 2, 0, "X-Checksum: abc\r\n").await?,
            ("headers", _) => {
                let lines: String = head
                    .query
                    .split('&')
                    .filter_map(|pair| pair.split_once('='))
                    .map(|(name, value)| format!("{name}: {value}\r\n"))
                    .collect();
                self.whole(head, 200, &lines, &seen()).await?;
            }
            ("hints", _) => {
                self.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n")
                    .await?;
                self.whole(head, 200, "", &seen()).await?;
            }
            ("reset", _) => return Ok(false),
            _ => self.whole(head, 200, "", &seen()).await?,
        }
        self.about = about;
        Ok(true)
    }

    async fn whole(&mut self, head: &Head, code: u64, lines: &str, seen: &str) -> io::Result<()> {
        let bare = matches!(code, 204 | 304);
        let text = if bare {
            String::new()
        } else {
            format!("{seen:#}\n")
        };
        let mut out = format!("HTTP/1.1 {code} Echo\r\nContent-Type: application/json\r\n{lines}");
        if !bare {
            out += &format!("Content-Length: {}\r\n", text.len());
        }
        out += "\r\n";
        if head.method != "HEAD" {
            out += &text;
        }
        self.write(out.as_bytes()).await
    }

    async fn bytes(&mut self, head: &Head, n: u64) -> io::Result<()> {
        let lines = format!("HTTP/1.1 200 OK\r\nContent-Length: {n}\r\n\r\n");
        self.write(lines.as_bytes()).await?;
        let mut left = if head.method == "HEAD" { 0 } else { n };
        while left > 0 {
            let piece = left.min(PIECE.len() as u64);
            self.write(&PIECE[..piece as usize]).await?;
            left -= piece;
        }
        Ok(())
    }

    async fn chunks(&mut self, head: &Head, n: u64, pause_ms: u64, trailer: &str) -> io::Result<()> {
        let lines = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Checksum\r\n\r\n";
        self.write(lines.as_bytes()).await?;
        if head.method == "HEAD" {
            return Ok(());
        }
        for i in 0..n {
            let text = format!("chunk {i}\n");
            let chunk = format!("{:x}\r\n{text}\r\n", text.len());
            self.write(chunk.as_bytes()).await?;
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        }
        self.write(format!("0\r\n{trailer}\r\n").as_bytes()).await
    }
}

/// What was seen, as JSON with each header on a line of its own.
fn echo(head: &Head, body: &Body, about: &About) -> String {
    let kept = String::from_utf8_lossy(&body.kept);
    let mut fields: Vec<(&str, String)> = about.iter().map(|(n, v)| (*n, v.to_string())).collect();
    fields.extend([
        ("method", json!(head.method).to_string()),
        ("path", json!(head.path).to_string()),
        ("query", json!(head.query).to_string()),
        ("headers", pairs(&head.headers)),
        ("body", json!(kept).to_string()),
        ("body_length", json!(body.length).to_string()),
    ]);
    if !body.trailers.is_empty() {
        fields.push(("trailers", pairs(&body.trailers)));
    }
    let lines: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("  \"{name}\": {value}"))
        .collect();
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

fn pairs(list: &[(String, String)]) -> String {
    let lines: Vec<String> = list
        .iter()
        .map(|(name, value)| format!("    [{}, {}]", json!(name), json!(value)))
        .collect();
    if lines.is_empty() {
        "[]".into()
    } else {
        format!("[\n{}\n  ]", lines.join(",\n"))
    }
}
