//! Scripted upstream servers on threads of their own.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

/// A request as the upstream saw it.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The head, byte by byte, the empty line included.
    pub head: String,
    pub body: Vec<u8>,
    /// What came after a chunked body's last chunk.
    pub trailers: String,
}

impl Seen {
    pub fn line(&self) -> &str {
        self.head.split("\r\n").next().unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let pairs = self.head.split("\r\n").skip(1).filter_map(|l| l.split_once(':'));
        pairs
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.trim())
            .next()
    }
}

/// One accepted connection, plain or over TLS.
pub struct Conn<S = TcpStream> {
    pub stream: S,
    buf: Vec<u8>,
}

impl<S: Read + Write> Conn<S> {
    pub fn over(stream: S) -> Self {
        Self {
            stream,
            buf: Vec::new(),
        }
    }

    fn fill(&mut self) -> Option<()> {
        let mut piece = [0; 64 << 10];
        let n = self.stream.read(&mut piece).ok().filter(|n| *n > 0)?;
        self.buf.extend_from_slice(&piece[..n]);
        Some(())
    }

    fn until(&mut self, mark: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.buf.windows(mark.len()).position(|w| w == mark) {
                return Some(self.buf.drain(..at + mark.len()).collect());
            }
            self.fill()?;
        }
    }

    pub fn take(&mut self, n: usize) -> Option<Vec<u8>> {
        while self.buf.len() < n {
            self.fill()?;
        }
        Some(self.buf.drain(..n).collect())
    }

    /// How much came already that nobody took; it is thrown away.
    pub fn skip_buffered(&mut self) -> usize {
        std::mem::take(&mut self.buf).len()
    }

    /// The next request's head only.
    pub fn head(&mut self) -> Option<Seen> {
        let head = String::from_utf8_lossy(&self.until(b"\r\n\r\n")?).into_owned();
        Some(Seen {
            head,
            ..Seen::default()
        })
    }

    /// The body that belongs to a head.
    pub fn body(&mut self, seen: &mut Seen) -> Option<()> {
        if let Some(n) = seen.header("content-length") {
            seen.body = self.take(n.parse().unwrap())?;
        } else if seen.header("transfer-encoding").is_some() {
            loop {
                let line = String::from_utf8_lossy(&self.until(b"\r\n")?).into_owned();
                let size = usize::from_str_radix(line.trim(), 16).unwrap();
                if size == 0 {
                    break;
                }
                seen.body.extend_from_slice(&self.take(size)?);
                self.take(2)?;
            }
            loop {
                let line = self.until(b"\r\n")?;
                if line == b"\r\n" {
                    break;
                }
                seen.trailers += &String::from_utf8_lossy(&line);
            }
        }
        Some(())
    }

    /// The next request, whole; None when the connection ended.
    pub fn request(&mut self) -> Option<Seen> {
        let mut seen = self.head()?;
        self.body(&mut seen)?;
        Some(seen)
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref());
    }
}

/// A server; it listens until the tests end.
pub struct Origin {
    pub port: u16,
    accepted: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Origin {
    /// Full control over every connection.
    pub fn raw(script: impl Fn(Conn) + Send + Sync + 'static) -> Self {
        Self::with(move |conn, _| script(conn))
    }

    fn with(script: impl Fn(Conn, &Mutex<Vec<Seen>>) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = Self {
            port: listener.local_addr().unwrap().port(),
            accepted: Arc::default(),
            seen: Arc::default(),
        };
        let (accepted, seen, script) = (origin.accepted.clone(), origin.seen.clone(), Arc::new(script));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                accepted.fetch_add(1, Ordering::SeqCst);
                let (script, seen) = (script.clone(), seen.clone());
                stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
                stream.set_nodelay(true).unwrap();
                std::thread::spawn(move || script(Conn::over(stream), &seen));
            }
        });
        origin
    }

    /// Answers each request with what `reply` makes of it, connections kept alive.
    pub fn replying(reply: impl Fn(&Seen) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::with(move |mut conn, all| {
            while let Some(seen) = conn.request() {
                let bytes = reply(&seen);
                all.lock().unwrap().push(seen);
                conn.send(bytes);
            }
        })
    }

    /// Answers each request with these bytes.
    pub fn answering(bytes: &'static str) -> Self {
        Self::replying(move |_| bytes.into())
    }

    /// Answers 200 with the request as JSON, like the embedded echo upstream.
    pub fn echo() -> Self {
        Self::replying(|seen| {
            let mut line = seen.line().split(' ');
            let (method, target) = (line.next().unwrap(), line.next().unwrap());
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            let pairs = seen.head.split("\r\n").skip(1).filter_map(|l| l.split_once(':'));
            let headers: Vec<_> = pairs.map(|(n, v)| (n, v.trim())).collect();
            let body = json!({
                "method": method, "path": path, "query": query, "headers": headers,
                "body": String::from_utf8_lossy(&seen.body), "body_length": seen.body.len(),
            })
            .to_string();
            let length = body.len();
            let sent = if method == "HEAD" { "" } else { &body };
            format!("HTTP/1.1 200 OK\r\nX-Up: 1\r\nContent-Length: {length}\r\n\r\n{sent}").into()
        })
    }

    /// How many connections it has accepted.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The last request.
    #[track_caller]
    pub fn last(&self) -> Seen {
        self.seen().pop().expect("no request came")
    }
}
