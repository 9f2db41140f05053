//! One question to the servers: by UDP, by TCP where the reply is cut, so many attempts, so long each.
//!
//! The number is random and so is each socket's port; a socket is connected, so that the kernel drops what comes
//! from elsewhere. Must not: cache, or run without a time limit.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout_at};

use super::record::Reply;
use super::wire::{Question, WireError};

/// How many datagrams one attempt looks at.
const MAX_DATAGRAMS: usize = 128;
/// The largest datagram that is read.
const MAX_DATAGRAM: usize = 4096;

/// Whom to ask and for how long.
#[derive(Debug, Clone)]
pub struct Servers {
    /// The servers.
    pub list: Vec<SocketAddr>,
    /// The one that is asked first.
    pub first: usize,
    /// Attempts, all servers taken together.
    pub attempts: u32,
    /// How long one attempt may take.
    pub timeout: Duration,
}

/// Asks until a server answers; the error is the last attempt's.
///
/// # Errors
/// Why there is no reply, in lua-resty-dns's words.
///
/// # Source
/// `lua-resty-dns`, `query`
pub async fn ask(servers: &Servers, name: &str, kind: u16) -> Result<Reply, String> {
    if servers.list.is_empty() {
        return Err("failed to create a resolver: no nameservers specified".into());
    }
    let mut id = [0; 2];
    getrandom::fill(&mut id).map_err(|e| e.to_string())?;
    let question = Question::new(name, kind, u16::from_be_bytes(id)).map_err(|e| e.to_string())?;
    let bytes = question.to_bytes().map_err(|e| e.to_string())?;
    // kept from attempt to attempt: the reply to an earlier one may still come
    let mut sockets: Vec<Option<UdpSocket>> = servers.list.iter().map(|_| None).collect();
    let mut buffer = vec![0; MAX_DATAGRAM];
    let mut last = String::new();
    for attempt in 0..servers.attempts.max(1) as usize {
        let at = (servers.first + attempt) % servers.list.len();
        let server = servers.list[at];
        let until = Instant::now() + servers.timeout;
        match datagrams(&mut sockets[at], server, &question, &bytes, &mut buffer, until).await {
            Ok(reply) => return Ok(reply),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn datagrams(
    socket: &mut Option<UdpSocket>,
    server: SocketAddr,
    question: &Question,
    bytes: &[u8],
    buffer: &mut [u8],
    until: Instant,
) -> Result<Reply, String> {
    let socket = match socket {
        Some(socket) => socket,
        None => socket.insert(
            open(server)
                .await
                .map_err(|e| format!("failed to set peer name: {}", reason(&e)))?,
        ),
    };
    let to = |doing: &str, e: String| format!("failed to {doing} UDP server {server}: {e}");
    socket
        .send(bytes)
        .await
        .map_err(|e| to("send request to", reason(&e)))?;
    for _ in 0..MAX_DATAGRAMS {
        let received = timeout_at(until, socket.recv(buffer)).await;
        let len = received
            .map_err(|_| to("receive reply from", "timeout".into()))?
            .map_err(|e| to("receive reply from", reason(&e)))?;
        match question.reply(&buffer[..len]) {
            Ok(reply) => return Ok(reply),
            Err(WireError::Foreign) => {}
            Err(WireError::Truncated) => return stream(server, question, bytes, until).await,
            Err(WireError::Bad(error)) => return Err(error),
        }
    }
    Err(WireError::Foreign.to_string())
}

async fn open(server: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    Ok(socket)
}

/// The same by TCP.
async fn stream(
    server: SocketAddr,
    question: &Question,
    bytes: &[u8],
    until: Instant,
) -> Result<Reply, String> {
    let asking = async {
        let failed =
            |doing: &str, e: &io::Error| format!("failed to {doing} TCP server {server}: {}", reason(e));
        let mut stream = TcpStream::connect(server)
            .await
            .map_err(|e| failed("connect to", &e))?;
        let mut message = Vec::with_capacity(bytes.len() + 2);
        message.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
        message.extend_from_slice(bytes);
        stream
            .write_all(&message)
            .await
            .map_err(|e| failed("send query to", &e))?;
        let len = stream
            .read_u16()
            .await
            .map_err(|e| failed("receive the reply length field from", &e))?;
        let mut reply = vec![0; usize::from(len)];
        stream
            .read_exact(&mut reply)
            .await
            .map_err(|e| failed("receive the reply message body from", &e))?;
        question
            .reply(&reply)
            .map_err(|e| format!("failed to parse the reply from the TCP server {server}: {e}"))
    };
    timeout_at(until, asking)
        .await
        .unwrap_or_else(|_| Err(format!("failed to connect to TCP server {server}: timeout")))
}

/// The system's word for a failure, in nginx's lower case.
fn reason(e: &io::Error) -> String {
    match e.kind() {
        io::ErrorKind::UnexpectedEof => "closed".into(),
        _ => {
            let text = e.to_string();
            let text = text.split(" (os error").next().unwrap_or_default();
            text.to_ascii_lowercase()
        }
    }
}
