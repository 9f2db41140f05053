//! What the tests stand on: a gateway of their own, a raw HTTP/1.1 client, scripted upstream servers, and all of
//! these over TLS with certificates made as needed.

pub mod certs;
pub mod demo;
#[allow(dead_code, reason = "the resolver's unit tests use the rest")]
pub mod dns;
pub mod gateway;
pub mod http;
pub mod listener;
pub mod origin;
pub mod peers;
pub mod tls_client;
pub mod tls_keys;
pub mod tls_upstream;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub use dns::Dns;
pub use gateway::{Admin, Gateway, Setup, service, with};
pub use http::{Client, Response, get};
pub use origin::Origin;
pub use tls_client::TlsClient;
pub use tls_upstream::TlsUpstream;

/// A port nobody listens on, below the range the kernel hands out, so that no outgoing connection takes it. Each
/// process of tests has a range of its own, which it holds by listening on its first port.
pub fn free_port() -> u16 {
    static RANGE: OnceLock<(u16, TcpListener)> = OnceLock::new();
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let (base, _) = RANGE.get_or_init(|| {
        let from = std::process::id() % 16;
        (0..16)
            .map(|i| 10_000 + (from + i) as u16 % 16 * 1_000)
            .find_map(|base| Some((base, TcpListener::bind(("127.0.0.1", base)).ok()?)))
            .expect("no range of ports is free")
    });
    loop {
        let port = base + 1 + NEXT.fetch_add(1, Ordering::Relaxed) % 999;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A directory that goes away with its value, unless the test fails.
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("moongate-it-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file below it, with the directories on the way.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// Asks again until the answer is yes; false after `limit`.
pub fn eventually(limit: Duration, mut yes: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if yes() {
            return true;
        }
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
