//! A raw HTTP/1.1 client: what is sent is sent byte by byte, what comes back is taken apart by hand.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// A response, whole.
#[derive(Debug, Clone, Default)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
    /// Whether the body ended as announced.
    pub complete: bool,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        let same = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        same.map(|(_, v)| v.as_str()).collect()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("not JSON ({e}): {}\n{}", self.head, self.text()))
    }

    /// What the echo upstream saw of a header.
    #[track_caller]
    pub fn seen(&self, name: &str) -> Option<String> {
        self.seen_all(name).into_iter().next()
    }

    #[track_caller]
    pub fn seen_all(&self, name: &str) -> Vec<String> {
        let seen = self.json();
        let headers = seen["headers"]
            .as_array()
            .unwrap_or_else(|| panic!("no echo: {}", self.text()));
        let pairs = headers
            .iter()
            .map(|h| (h[0].as_str().unwrap(), h[1].as_str().unwrap()));
        pairs
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.to_owned())
            .collect()
    }

    /// Asserts the status, showing everything else when it is another.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}\n{}", self.head, self.text());
        self
    }
}

fn find<'a>(list: &'a [(String, String)], name: &str) -> Option<&'a str> {
    list.iter()
        .find(|(n, _)| n.eq_ignore_ascii_case(name))
        .map(|(_, v)| v.as_str())
}

/// One connection, plain or over TLS.
pub struct Client<S = TcpStream> {
    pub stream: S,
    buf: Vec<u8>,
}

/// A TCP connection to a server of this machine, with time limits.
#[track_caller]
pub fn dial(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

impl Client {
    #[track_caller]
    pub fn connect(port: u16) -> Self {
        Self::over(dial(port))
    }

    /// Waits this long for each piece.
    pub fn patience(&mut self, seconds: u64) {
        let limit = Some(Duration::from_secs(seconds));
        self.stream.set_read_timeout(limit).unwrap();
    }

    /// Whether anything comes within `limit`, be it the end.
    pub fn hears(&mut self, limit: Duration) -> bool {
        let before = self.stream.read_timeout().unwrap();
        self.stream.set_read_timeout(Some(limit)).unwrap();
        let heard = !self.buf.is_empty() || self.stream.peek(&mut [0]).is_ok();
        self.stream.set_read_timeout(before).unwrap();
        heard
    }
}

impl<S: Read + Write> Client<S> {
    pub fn over(stream: S) -> Self {
        Self {
            stream,
            buf: Vec::new(),
        }
    }

    /// Sends bytes; that the other side has closed already shows in what it answered.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let _ = self.stream.write_all(bytes.as_ref());
        self
    }

    /// Sends a request of method and path, with a Host and, as curl does, `Accept: */*`.
    pub fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        if !headers.iter().any(|(n, _)| n.eq_ignore_ascii_case("host")) {
            head += "Host: test.local\r\n";
        }
        if !headers.iter().any(|(n, _)| n.eq_ignore_ascii_case("accept")) {
            head += "Accept: */*\r\n";
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        head += "\r\n";
        self.send([head.as_bytes(), body].concat());
        self.answer(method == "HEAD")
    }

    pub fn get(&mut self, path: &str) -> Response {
        self.ask("GET", path, &[], b"")
    }

    /// More bytes into the buffer; false at the end of the stream, or after a reset.
    fn fill(&mut self) -> bool {
        let mut piece = [0; 64 << 10];
        match self.stream.read(&mut piece) {
            Ok(0) => false,
            Ok(n) => {
                self.buf.extend_from_slice(&piece[..n]);
                true
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!(
                    "nothing more came; so far: {:?}",
                    String::from_utf8_lossy(&self.buf)
                )
            }
            Err(_) => false,
        }
    }

    fn until(&mut self, mark: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.buf.windows(mark.len()).position(|w| w == mark) {
                return Some(self.buf.drain(..at + mark.len()).collect());
            }
            if !self.fill() {
                return None;
            }
        }
    }

    /// Takes `n` bytes; fewer at the end of the stream.
    pub fn take(&mut self, n: usize) -> Vec<u8> {
        while self.buf.len() < n && self.fill() {}
        let n = n.min(self.buf.len());
        self.buf.drain(..n).collect()
    }

    /// What came already and nobody took.
    pub fn take_buffered(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.buf)
    }

    /// The head of the next response, 1xx included; None when the connection ended.
    pub fn head(&mut self) -> Option<Response> {
        let head = self.until(b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        Some(Response {
            status,
            headers: fields(lines),
            head,
            ..Response::default()
        })
    }

    /// The next final response. `bare` after a HEAD request.
    #[track_caller]
    pub fn answer(&mut self, bare: bool) -> Response {
        self.try_answer(bare)
            .expect("the connection ended without an answer")
    }

    pub fn try_answer(&mut self, bare: bool) -> Option<Response> {
        let mut r = self.head()?;
        while (100..200).contains(&r.status) {
            r = self.head()?;
        }
        r.complete = true;
        if bare || matches!(r.status, 204 | 304) {
            return Some(r);
        }
        let chunked = r
            .header("transfer-encoding")
            .is_some_and(|v| v.contains("chunked"));
        if chunked {
            r.complete = self.chunks(&mut r);
        } else if let Some(n) = r.header("content-length").and_then(|v| v.parse().ok()) {
            r.body = self.take(n);
            r.complete = r.body.len() == n;
        } else {
            r.body = self.rest();
        }
        Some(r)
    }

    fn chunks(&mut self, r: &mut Response) -> bool {
        loop {
            let Some(line) = self.until(b"\r\n") else {
                return false;
            };
            let line = String::from_utf8_lossy(&line).into_owned();
            let size = usize::from_str_radix(line.trim().split(';').next().unwrap(), 16);
            let Ok(size) = size else { return false };
            if size == 0 {
                break;
            }
            let piece = self.take(size + 2);
            if piece.len() < size + 2 {
                r.body.extend_from_slice(&piece);
                return false;
            }
            r.body.extend_from_slice(&piece[..size]);
        }
        loop {
            match self.until(b"\r\n") {
                None => return false,
                Some(line) if line == b"\r\n" => return true,
                Some(line) => {
                    let line = String::from_utf8_lossy(&line).into_owned();
                    r.trailers.extend(fields([line.trim_end()].into_iter()));
                }
            }
        }
    }

    /// Everything until the other side closes.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.fill() {}
        std::mem::take(&mut self.buf)
    }

    /// Whether the other side closes without another byte.
    pub fn closed(&mut self) -> bool {
        self.rest().is_empty()
    }
}

fn fields<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<(String, String)> {
    let pairs = lines.filter_map(|l| l.split_once(':'));
    pairs.map(|(n, v)| (n.to_owned(), v.trim().to_owned())).collect()
}

/// One request on a connection of its own.
#[track_caller]
pub fn get(port: u16, path: &str, headers: &[(&str, &str)]) -> Response {
    Client::connect(port).ask("GET", path, headers, b"")
}
