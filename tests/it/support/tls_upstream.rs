//! A TLS upstream on threads of its own that says which client certificate it got, and misbehaves on request.
//!
//! Each request is answered with JSON:
//!
//! ```text
//! { "client": { "subject": CN, "fingerprint": SHA-256 of the leaf, "length": certificates sent,
//!               "chain": [SHA-256, ...] } or null,
//!   "sni", "alpn", "version": "TLSv1.3", "cipher", "resumed",
//!   "connection": 1 for the first accepted, "request": 1 for the connection's first,
//!   "method", "target", "headers": [[name, value], ...], "body" }
//! ```

use std::collections::VecDeque;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ServerSessionMemoryCache, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::{
    DigitallySignedStruct, DistinguishedName, HandshakeKind, ProtocolVersion, RootCertStore, ServerConfig,
    ServerConnection, SignatureScheme, StreamOwned, SupportedProtocolVersion,
};
use serde_json::{Value, json};

use super::certs::{Ca, Cert, der, fingerprint};
use super::origin::{Conn, Seen};
use super::tls_keys;

/// What the upstream does instead of answering well; the client's view of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// None: it behaves.
    Well,
    /// Accepts and closes, resets or says nothing, reading nothing.
    CloseAtOnce,
    ResetAtOnce,
    HangAtOnce,
    /// The same after the ClientHello.
    CloseInHandshake,
    ResetInHandshake,
    HangInHandshake,
    /// Answers the ClientHello with plain text.
    PlainText,
    /// The same after the handshake, before a request is read.
    CloseAfterHandshake,
    ResetAfterHandshake,
    /// The same after a request was read.
    CloseBeforeAnswer,
    ResetBeforeAnswer,
    HangBeforeAnswer,
    /// Reads a request's head and nothing after it.
    HangBeforeBody,
    /// Answers the first request well; reads the second and closes.
    CloseOnSecond,
    /// Half a response head, then the end or nothing.
    CloseInHead,
    HangInHead,
    /// Half a body, then the end or nothing.
    CloseInBody,
    HangInBody,
    /// Answers when it has seen a request's head, and reads the body afterwards.
    AnswerBeforeBody,
    /// Answers when it has seen a request's head, and closes without reading the body.
    AnswerAndClose,
    /// Answers well, then closes with close_notify, without having said so.
    CloseWhenIdle,
    /// Answers well, then closes without close_notify.
    TruncateWhenIdle,
    /// Answers well, then resets.
    ResetWhenIdle,
    /// Answers well, then half-closes: close_notify, and it goes on reading.
    HalfCloseWhenIdle,
}

/// What becomes of client certificates.
#[derive(Clone)]
pub enum ClientAuth {
    /// Not asked for.
    Ignore,
    /// Asked for; any will do, and none too.
    Ask,
    /// Demanded; any will do that the client holds the key of.
    Demand,
    /// Demanded and verified against these authorities.
    Verify(Vec<Ca>),
}

/// How the upstream is to be.
#[derive(Clone)]
pub struct Options {
    cert: Cert,
    auth: ClientAuth,
    versions: Vec<&'static SupportedProtocolVersion>,
    alpn: Vec<Vec<u8>>,
    sessions: bool,
    requests: usize,
}

impl Options {
    /// Serves with this certificate and its chain; ignores clients' certificates, keeps sessions and connections.
    pub fn new(cert: &Cert) -> Self {
        Self {
            cert: cert.clone(),
            auth: ClientAuth::Ignore,
            versions: rustls::ALL_VERSIONS.to_vec(),
            alpn: Vec::new(),
            sessions: true,
            requests: usize::MAX,
        }
    }

    pub fn auth(mut self, auth: ClientAuth) -> Self {
        self.auth = auth;
        self
    }

    /// Asks for a certificate, takes any and none.
    pub fn asking(self) -> Self {
        self.auth(ClientAuth::Ask)
    }

    /// Demands a certificate, takes any.
    pub fn demanding(self) -> Self {
        self.auth(ClientAuth::Demand)
    }

    /// Demands a certificate below this authority.
    pub fn verifying(self, ca: &Ca) -> Self {
        self.auth(ClientAuth::Verify(vec![ca.clone()]))
    }

    pub fn tls12(mut self) -> Self {
        self.versions = vec![&rustls::version::TLS12];
        self
    }

    pub fn tls13(mut self) -> Self {
        self.versions = vec![&rustls::version::TLS13];
        self
    }

    pub fn alpn(mut self, protocols: &[&str]) -> Self {
        self.alpn = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
        self
    }

    /// Without resumption.
    pub fn without_sessions(mut self) -> Self {
        self.sessions = false;
        self
    }

    /// Closes after so many requests, announcing it.
    pub fn requests(mut self, per_connection: usize) -> Self {
        self.requests = per_connection;
        self
    }

    fn config(&self) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier: Arc<dyn ClientCertVerifier> = match &self.auth {
            ClientAuth::Ignore => WebPkiClientVerifier::no_client_auth(),
            ClientAuth::Ask => Arc::new(AnyClient { mandatory: false }),
            ClientAuth::Demand => Arc::new(AnyClient { mandatory: true }),
            ClientAuth::Verify(authorities) => {
                let mut roots = RootCertStore::empty();
                for ca in authorities {
                    roots.add(ca.cert.der.clone().into()).unwrap();
                }
                WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone())
                    .build()
                    .unwrap()
            }
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.versions)
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(tls_keys::certified(&self.cert))));
        config.alpn_protocols = self.alpn.clone();
        if self.sessions {
            config.session_storage = ServerSessionMemoryCache::new(16 << 10);
        } else {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        config
    }
}

/// Takes any client certificate whose key the client holds.
#[derive(Debug)]
struct AnyClient {
    mandatory: bool,
}

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        tls_keys::verify(message, cert, dss, true)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        tls_keys::verify(message, cert, dss, false)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        tls_keys::schemes()
    }
}

type Tls = StreamOwned<ServerConnection, TcpStream>;

#[derive(Default)]
struct State {
    accepted: AtomicUsize,
    handshakes: AtomicUsize,
    resumed: AtomicUsize,
    requests: AtomicUsize,
    open: AtomicUsize,
    failures: Mutex<Vec<String>>,
    faults: Mutex<VecDeque<Fault>>,
    seen: Mutex<Vec<Value>>,
    over: AtomicBool,
}

/// The running upstream; what hangs is let go when it is dropped.
pub struct TlsUpstream {
    pub port: u16,
    state: Arc<State>,
}

impl TlsUpstream {
    #[track_caller]
    pub fn start(options: &Options) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::<State>::default();
        let (config, requests, shared) = (Arc::new(options.config()), options.requests, state.clone());
        std::thread::spawn(move || {
            for tcp in listener.incoming().flatten() {
                if shared.over.load(Ordering::SeqCst) {
                    break;
                }
                let number = shared.accepted.fetch_add(1, Ordering::SeqCst) + 1;
                let fault = shared.faults.lock().unwrap().pop_front();
                let session = Session {
                    state: shared.clone(),
                    number,
                    fault: fault.unwrap_or(Fault::Well),
                    requests,
                };
                let config = config.clone();
                std::thread::Builder::new()
                    .stack_size(256 << 10)
                    .spawn(move || session.run(tcp, config))
                    .unwrap();
            }
        });
        Self { port, state }
    }

    /// What the next connections do, one each; those after them behave.
    pub fn misbehave(&self, faults: &[Fault]) -> &Self {
        self.state.faults.lock().unwrap().extend(faults);
        self
    }

    /// Connections accepted.
    pub fn accepted(&self) -> usize {
        self.state.accepted.load(Ordering::SeqCst)
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.state.open.load(Ordering::SeqCst)
    }

    /// Handshakes completed, resumed ones included.
    pub fn handshakes(&self) -> usize {
        self.state.handshakes.load(Ordering::SeqCst)
    }

    /// Handshakes that resumed a session.
    pub fn resumed(&self) -> usize {
        self.state.resumed.load(Ordering::SeqCst)
    }

    /// Requests read.
    pub fn requests(&self) -> usize {
        self.state.requests.load(Ordering::SeqCst)
    }

    /// Why handshakes failed.
    pub fn failures(&self) -> Vec<String> {
        self.state.failures.lock().unwrap().clone()
    }

    /// What was answered, in order.
    pub fn seen(&self) -> Vec<Value> {
        self.state.seen.lock().unwrap().clone()
    }
}

impl Drop for TlsUpstream {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::SeqCst);
        // wakes the accepting thread, which lets the port go
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// `TLSv1.2`, `TLSv1.3`.
pub fn version(version: Option<ProtocolVersion>) -> String {
    match version {
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3".into(),
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2".into(),
        other => format!("{other:?}"),
    }
}

/// One connection.
struct Session {
    state: Arc<State>,
    number: usize,
    fault: Fault,
    requests: usize,
}

impl Session {
    fn run(self, mut tcp: TcpStream, config: Arc<ServerConfig>) {
        self.state.open.fetch_add(1, Ordering::SeqCst);
        tcp.set_nodelay(true).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        if let Some(tls) = self.shake(&mut tcp, config) {
            self.serve(Conn::over(StreamOwned::new(tls, tcp)));
        }
        self.state.open.fetch_sub(1, Ordering::SeqCst);
    }

    /// Holds the connection until the upstream goes, or for a minute.
    fn hang(&self) {
        for _ in 0..1200 {
            if self.state.over.load(Ordering::SeqCst) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn shake(&self, tcp: &mut TcpStream, config: Arc<ServerConfig>) -> Option<ServerConnection> {
        use std::io::{Read as _, Write as _};
        match self.fault {
            Fault::CloseAtOnce => return None,
            Fault::ResetAtOnce => return reset(tcp),
            Fault::HangAtOnce => {
                self.hang();
                return None;
            }
            Fault::CloseInHandshake | Fault::ResetInHandshake | Fault::HangInHandshake | Fault::PlainText => {
                let _ = tcp.read(&mut [0; 4096]);
                match self.fault {
                    Fault::ResetInHandshake => return reset(tcp),
                    Fault::HangInHandshake => self.hang(),
                    Fault::PlainText => {
                        let _ = tcp.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
                    }
                    _ => {}
                }
                return None;
            }
            _ => {}
        }
        let mut tls = ServerConnection::new(config).unwrap();
        while tls.is_handshaking() {
            if let Err(e) = tls.complete_io(tcp) {
                self.state.failures.lock().unwrap().push(e.to_string());
                return None;
            }
        }
        self.state.handshakes.fetch_add(1, Ordering::SeqCst);
        if tls.handshake_kind() == Some(HandshakeKind::Resumed) {
            self.state.resumed.fetch_add(1, Ordering::SeqCst);
        }
        match self.fault {
            Fault::CloseAfterHandshake => {
                close(&mut tls, tcp);
                None
            }
            Fault::ResetAfterHandshake => reset(tcp),
            _ => Some(tls),
        }
    }

    fn serve(&self, mut conn: Conn<Tls>) {
        for number in 1.. {
            let Some(mut request) = conn.head() else { break };
            if self.fault == Fault::HangBeforeBody {
                self.hang();
                return;
            }
            if self.fault == Fault::CloseOnSecond && number == 2 {
                conn.body(&mut request);
                break;
            }
            let early = matches!(self.fault, Fault::AnswerBeforeBody | Fault::AnswerAndClose);
            if !early && conn.body(&mut request).is_none() {
                break;
            }
            self.state.requests.fetch_add(1, Ordering::SeqCst);
            let seen = self.report(&conn.stream.conn, &request, number);
            self.state.seen.lock().unwrap().push(seen.clone());
            let last = number >= self.requests;
            if !self.answer(&mut conn, &seen, last) || early && conn.body(&mut request).is_none() {
                return;
            }
            if last {
                break;
            }
        }
        close(&mut conn.stream.conn, &mut conn.stream.sock);
    }

    /// False when the connection is over.
    fn answer(&self, conn: &mut Conn<Tls>, seen: &Value, last: bool) -> bool {
        let body = seen.to_string();
        let closing = if last { "Connection: close\r\n" } else { "" };
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{closing}Content-Length: {}\r\n\r\n",
            body.len()
        );
        let text = head.clone() + if seen["method"] == "HEAD" { "" } else { &body };
        let sent = match self.fault {
            Fault::CloseBeforeAnswer | Fault::ResetBeforeAnswer | Fault::HangBeforeAnswer => 0,
            Fault::CloseInHead | Fault::HangInHead => head.len() / 2,
            Fault::CloseInBody | Fault::HangInBody => head.len() + body.len() / 2,
            _ => text.len(),
        };
        conn.send(&text[..sent]);
        let _ = std::io::Write::flush(&mut conn.stream);
        let Tls { conn: tls, sock: tcp } = &mut conn.stream;
        match self.fault {
            Fault::ResetBeforeAnswer | Fault::ResetWhenIdle => drop(reset::<()>(tcp)),
            Fault::HangBeforeAnswer | Fault::HangInHead | Fault::HangInBody => self.hang(),
            Fault::TruncateWhenIdle => {}
            Fault::HalfCloseWhenIdle => {
                tls.send_close_notify();
                while tls.wants_write() && tls.write_tls(tcp).is_ok() {}
                while conn.head().is_some() {}
            }
            Fault::CloseBeforeAnswer
            | Fault::CloseInHead
            | Fault::CloseInBody
            | Fault::AnswerAndClose
            | Fault::CloseWhenIdle => close(tls, tcp),
            _ => return true,
        }
        false
    }

    fn report(&self, tls: &ServerConnection, request: &Seen, number: usize) -> Value {
        let client = tls.peer_certificates().map(|chain| {
            json!({
                "subject": der::common_name(&chain[0]),
                "fingerprint": fingerprint(&chain[0]),
                "length": chain.len(),
                "chain": chain.iter().map(|c| fingerprint(c)).collect::<Vec<_>>(),
            })
        });
        let cipher = tls.negotiated_cipher_suite().map(|s| format!("{:?}", s.suite()));
        let mut line = request.line().split(' ');
        let pairs = request.head.split("\r\n").skip(1);
        let headers: Vec<_> = pairs
            .filter_map(|l| l.split_once(':'))
            .map(|(n, v)| (n, v.trim()))
            .collect();
        json!({
            "client": client,
            "sni": tls.server_name(),
            "alpn": tls.alpn_protocol().map(String::from_utf8_lossy),
            "version": version(tls.protocol_version()),
            "cipher": cipher,
            "resumed": tls.handshake_kind() == Some(HandshakeKind::Resumed),
            "connection": self.number,
            "request": number,
            "method": line.next(),
            "target": line.next(),
            "headers": headers,
            "body": String::from_utf8_lossy(&request.body),
        })
    }
}

/// Ends with close_notify.
fn close(tls: &mut ServerConnection, tcp: &mut TcpStream) {
    tls.send_close_notify();
    while tls.wants_write() && tls.write_tls(tcp).is_ok() {}
    let _ = tcp.shutdown(std::net::Shutdown::Write);
}

/// Ends with a reset.
fn reset<T>(tcp: &TcpStream) -> Option<T> {
    let _ = socket2::SockRef::from(tcp).set_linger(Some(Duration::ZERO));
    None
}
