//! Where a request goes: what the matched service says and `kong.service` changes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::tls::identity::ClientIdentity;
use crate::tls::trust::TrustStore;

/// What goes to the upstream beside method, headers and body (nginx's `$upstream_*` variables of Kong).
#[derive(Debug, Clone, Default)]
pub struct Outbound {
    /// `$upstream_scheme`.
    pub scheme: String,
    /// `$upstream_host`: the Host header; empty lets the balancer decide.
    pub host: String,
    /// `$upstream_uri`: path, and query once access has ended.
    pub uri: String,
    /// Whether a plugin wrote `$upstream_uri` itself with its own query.
    pub uri_has_args: bool,
    /// `$upstream_x_forwarded_for` and the rest of Kong's forwarding headers.
    pub x_forwarded_for: String,
    pub x_forwarded_proto: String,
    pub x_forwarded_host: String,
    pub x_forwarded_port: String,
    pub x_forwarded_path: String,
    pub x_forwarded_prefix: Option<String>,
    /// `$upstream_upgrade`.
    pub upgrade: Option<String>,
    /// `$upstream_te`, `$upstream_via` and `$upstream_connection` where a plugin wrote them.
    pub te: Option<String>,
    pub via: Option<String>,
    pub connection: Option<String>,
    /// `$kong_proxy_mode` and `$ctx_ref` where a plugin wrote them: only kept.
    pub proxy_mode: Option<String>,
    pub ctx_ref: Option<String>,
}

/// Kong's `balancer_data`: host, port and limits of the upstream call, and what plugins say of its TLS.
#[derive(Debug, Clone)]
pub struct ServiceTarget {
    /// A host name, an Upstream's name or an IP literal.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Tries beyond the first.
    pub retries: u32,
    /// Limits of one try.
    pub connect_timeout: Duration,
    pub write_timeout: Duration,
    pub read_timeout: Duration,
    /// Whether the Host header was there before the first try (`preserve_host`, `set_target`, a plugin's own): then
    /// it stays whatever target is chosen.
    pub preserve_host: bool,
    /// Whether a plugin chose (`set_target`, `set_upstream`): then the service's host doesn't matter.
    pub chosen: bool,
    /// The name of the target tried last (Kong's `balancer_data.hostname`).
    pub hostname: String,
    /// What the request is hashed by, once it is known.
    pub hash_value: Option<Vec<u8>>,
    /// The cookie that the client is to be hashed by from now on.
    pub hash_cookie: Option<Box<HashCookie>>,
    /// Who we are to the server, where a plugin said.
    pub identity: Option<Arc<ClientIdentity>>,
    /// Whether the server's certificate is verified, where a plugin said.
    pub tls_verify: Option<bool>,
    /// How many intermediates its chain may have, where a plugin said.
    pub tls_verify_depth: Option<u32>,
    /// By whom it must be signed, where a plugin said.
    pub tls_verify_store: Option<Arc<TrustStore>>,
    /// Whether a plugin left a function to be asked before each retry (`balancer_data` holds it).
    pub retry_callback: bool,
    /// That plugin.
    pub retry_plugin: u16,
}

impl Default for ServiceTarget {
    fn default() -> Self {
        let limit = Duration::from_secs(60);
        Self {
            host: String::new(),
            port: 80,
            retries: 5,
            connect_timeout: limit,
            write_timeout: limit,
            read_timeout: limit,
            preserve_host: false,
            chosen: false,
            hostname: String::new(),
            hash_value: None,
            hash_cookie: None,
            identity: None,
            tls_verify: None,
            tls_verify_depth: None,
            tls_verify_store: None,
            retry_callback: false,
            retry_plugin: u16::MAX,
        }
    }
}

/// A cookie that balances: made for a client that has none yet.
#[derive(Debug, Clone)]
pub struct HashCookie {
    /// Its name.
    pub name: String,
    /// What is hashed.
    pub value: String,
    /// The path it is sent back for.
    pub path: String,
}

/// One try.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The address tried.
    pub addr: SocketAddr,
    /// Why it failed, None if it answered.
    pub error: Option<String>,
    /// The status that a failure stands for.
    pub code: Option<u16>,
    /// When choosing began.
    pub started_at: SystemTime,
    /// How long choosing took (Kong's `balancer_latency`).
    pub choosing: Duration,
    /// How long connecting took, if the connection is new.
    pub connect_time: Option<Duration>,
    /// When it began, and how long it took if it failed (`$upstream_response_time`).
    pub began: Instant,
    pub took: Option<Duration>,
    /// Bytes of its answer and of its request, heads included (`$upstream_bytes_received`, `$upstream_bytes_sent`).
    pub received: u64,
    pub sent: u64,
}

impl Attempt {
    /// With so many bytes received and sent.
    pub fn with_traffic(mut self, (received, sent): (u64, u64)) -> Self {
        self.received = received;
        self.sent = sent;
        self
    }
}
