//! A TLS server on tasks of the same thread, and the certificates around it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::{ServerSessionMemoryCache, StoresServerSessions, WebPkiClientVerifier};
use rustls::{HandshakeKind, ProtocolVersion, RootCertStore, ServerConfig};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::tls::trust::TrustStore;

/// A certificate with its key, both DER.
#[derive(Clone)]
pub struct Made {
    pub der: Vec<u8>,
    pub key: Vec<u8>,
}

/// An authority.
pub struct Ca {
    pub der: CertificateDer<'static>,
    params: CertificateParams,
    key: KeyPair,
}

fn named(cn: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, cn);
    params
}

fn authority(cn: &str) -> CertificateParams {
    let mut params = named(cn);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

impl Ca {
    pub fn new(cn: &str) -> Self {
        let (params, key) = (authority(cn), KeyPair::generate().unwrap());
        let der = params.self_signed(&key).unwrap().der().clone();
        Self { der, params, key }
    }

    pub fn below(&self, cn: &str) -> Self {
        let (params, key) = (authority(cn), KeyPair::generate().unwrap());
        let issuer = Issuer::from_params(&self.params, &self.key);
        let der = params.signed_by(&key, &issuer).unwrap().der().clone();
        Self { der, params, key }
    }

    /// A leaf over `key`, or a key of its own.
    pub fn leaf(&self, cn: &str, sans: &[&str], key: Option<&KeyPair>) -> Made {
        let own = KeyPair::generate().unwrap();
        let key = key.unwrap_or(&own);
        let mut params = named(cn);
        let sans: Vec<String> = sans.iter().map(|s| (*s).to_owned()).collect();
        params.subject_alt_names = CertificateParams::new(sans).unwrap().subject_alt_names;
        let issuer = Issuer::from_params(&self.params, &self.key);
        Made {
            der: params.signed_by(key, &issuer).unwrap().der().to_vec(),
            key: key.serialize_der(),
        }
    }

    /// A store of this one alone; equal to, and not the same object as, the one before.
    pub fn store(&self) -> Arc<TrustStore> {
        TrustStore::new([self.der.clone()]).unwrap()
    }
}

pub fn fingerprint(der: &[u8]) -> String {
    Sha256::digest(der)[..8]
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

/// What each server connection is told apart by, over all servers of a test.
#[derive(Default)]
pub struct Ledger {
    next: Cell<u64>,
    /// How many connections took up the session of another.
    pub resumed: Cell<u64>,
    /// Why handshakes failed.
    pub failures: RefCell<Vec<String>>,
}

impl Ledger {
    /// The number of the last connection.
    pub fn accepted(&self) -> u64 {
        self.next.get()
    }
}

/// A server; it answers requests with `x-connection`, `x-session` (the connection its session began on), `x-client`
/// (fingerprint) and `x-sni`.
pub struct Server {
    pub addr: SocketAddr,
    hang_up: watch::Sender<u64>,
}

impl Server {
    /// Starts on the current local set.
    pub async fn start(chain: &[Vec<u8>], key: &[u8], clients: &Ca, ledger: &Rc<Ledger>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(clients.der.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone())
            .allow_unauthenticated()
            .build()
            .unwrap();
        let chain = chain
            .iter()
            .map(|der| CertificateDer::from(der.clone()))
            .collect();
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, PrivatePkcs8KeyDer::from(key.to_vec()).into())
            .unwrap();
        let sessions = Arc::new(Sessions::new());
        config.session_storage = sessions.clone();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (hang_up, hung_up) = watch::channel(0);
        let ledger = ledger.clone();
        tokio::task::spawn_local(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, ledger, hung_up) = (acceptor.clone(), ledger.clone(), hung_up.clone());
                let sessions = sessions.clone();
                tokio::task::spawn_local(async move {
                    tcp.set_nodelay(true).unwrap();
                    let id = ledger.next.get() + 1;
                    ledger.next.set(id);
                    let shaken = acceptor
                        .accept_with(tcp, |tls| tls.set_resumption_data(id.to_string().as_bytes()))
                        .await;
                    match shaken {
                        Ok(tls) => {
                            let session = sessions.began(&tls, id);
                            serve(tls, (id, session), &ledger, hung_up).await;
                        }
                        Err(e) => ledger.failures.borrow_mut().push(e.to_string()),
                    }
                });
            }
        });
        Self { addr, hang_up }
    }

    /// Closes all connections.
    pub fn hang_up(&self) {
        self.hang_up.send_modify(|n| *n += 1);
    }
}

/// The memory of sessions; it tells which connection each began on.
#[derive(Debug)]
struct Sessions {
    kept: Arc<ServerSessionMemoryCache>,
    /// By key, of TLS 1.2; 1.3 carries it in the ticket.
    began: Mutex<HashMap<Vec<u8>, u64>>,
    last_put: Mutex<Vec<u8>>,
    last_got: Mutex<Vec<u8>>,
}

impl Sessions {
    fn new() -> Self {
        Self {
            kept: ServerSessionMemoryCache::new(4096),
            began: Mutex::default(),
            last_put: Mutex::default(),
            last_got: Mutex::default(),
        }
    }

    /// Right after a handshake; there is one at a time.
    fn began(&self, tls: &tokio_rustls::server::TlsStream<tokio::net::TcpStream>, id: u64) -> u64 {
        let about = &tls.get_ref().1;
        let resumed = about.handshake_kind() == Some(HandshakeKind::Resumed);
        match (resumed, about.protocol_version()) {
            (true, Some(ProtocolVersion::TLSv1_3)) => {
                let data = about.received_resumption_data().unwrap();
                std::str::from_utf8(data).unwrap().parse().unwrap()
            }
            (true, _) => self.began.lock().unwrap()[&*self.last_got.lock().unwrap()],
            (false, _) => {
                let key = self.last_put.lock().unwrap().clone();
                self.began.lock().unwrap().insert(key, id);
                id
            }
        }
    }
}

impl StoresServerSessions for Sessions {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.last_put.lock().unwrap().clone_from(&key);
        self.kept.put(key, value)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        *self.last_got.lock().unwrap() = key.to_vec();
        self.kept.get(key)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.kept.take(key)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

async fn serve(
    mut tls: tokio_rustls::server::TlsStream<tokio::net::TcpStream>,
    (id, session): (u64, u64),
    ledger: &Ledger,
    mut hung_up: watch::Receiver<u64>,
) {
    hung_up.mark_unchanged();
    let about = &tls.get_ref().1;
    let client = about
        .peer_certificates()
        .map_or("none".into(), |chain| fingerprint(&chain[0]));
    let sni = about.server_name().unwrap_or("none").to_owned();
    if about.handshake_kind() == Some(HandshakeKind::Resumed) {
        assert_ne!(session, id);
        ledger.resumed.set(ledger.resumed.get() + 1);
    }
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-connection: {id}\r\nx-session: {session}\r\n\
         x-client: {client}\r\nx-sni: {sni}\r\n\r\n"
    );
    let mut got = Vec::new();
    loop {
        while let Some(end) = got.windows(4).position(|w| w == b"\r\n\r\n") {
            got.drain(..end + 4);
            if tls.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
            let _ = tls.flush().await;
        }
        let mut piece = [0; 1024];
        tokio::select! {
            n = tls.read(&mut piece) => match n {
                Ok(n) if n > 0 => got.extend_from_slice(&piece[..n]),
                _ => return,
            },
            _ = hung_up.changed() => {
                let _ = tls.shutdown().await;
                return;
            }
        }
    }
}
