//! Settings: `kong.conf`, `KONG_*`, the `_gateway` key of `config.json`, their defaults and their refusals.
//!
//! The names are Kong's. Precedence, highest first: the command line's prefix, `KONG_<KEY>` of the environment,
//! the `kong.conf` named by `-c`, `_gateway`, a `kong.conf` found at its usual place, the defaults.
//!
//! Must not: start anything, log, or know what a request is. What is worth telling comes back as warnings.

mod configuration;
mod defaults;
mod directives;
mod error;
mod header_flags;
mod kong_env;
mod listen;
mod load;
mod log_target;
mod plugins;
mod source;
mod trusted_ips;
mod typed;
mod value;
mod vault;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

pub use defaults::SENSITIVE;
pub use directives::{HeaderBuffers, SharedDict};
pub use error::Error;
pub use header_flags::HeaderFlags;
pub use listen::Listen;
pub use load::Loaded;
pub use log_target::{AccessLog, LogLevel, LogTarget};
pub use plugins::{BUNDLED_PLUGINS, PluginList};
pub use source::{Sources, Unresolved, conf_file_keys};
pub use trusted_ips::TrustedIps;
pub use value::{parse_size, parse_time};

/// Which routing rules `router_flavor` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouterFlavor {
    /// Kong's `traditional`.
    Traditional,
    /// Kong's `traditional_compatible`, the default.
    TraditionalCompatible,
}

/// What `untrusted_lua` allows configuration-supplied Lua to reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UntrustedLua {
    /// No restriction.
    On,
    /// Such code is not run at all.
    Off,
    /// Such code runs in a sandbox, the default.
    Sandbox,
}

/// TLS to upstreams where neither a plugin nor an entity says otherwise: Kong's `client_ssl*` and nginx's
/// `proxy_ssl_*` (as `nginx_proxy_proxy_ssl_*`).
///
/// # Source
/// Kong 3.10's nginx configuration; ngx_http_proxy_module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamTls {
    /// `client_ssl_cert` and `client_ssl_cert_key`, files or PEM text, where `client_ssl` is on; Kong's default
    /// certificate below the prefix where they are not set.
    pub identity: Option<(String, String)>,
    /// `proxy_ssl_verify`
    pub verify: bool,
    /// `proxy_ssl_verify_depth`; else `lua_ssl_verify_depth`.
    pub verify_depth: u8,
    /// `proxy_ssl_trusted_certificate`, a file; else `lua_ssl_trusted_certificate`.
    pub trusted_certificates: Vec<String>,
    /// `proxy_ssl_protocols`: names of protocols.
    pub protocols: String,
    /// `proxy_ssl_session_reuse`
    pub session_reuse: bool,
}

/// What cosockets do where Lua does not say otherwise.
///
/// # Source
/// ngx_http_lua_module; Kong 3.10's nginx configuration (`lua_socket_log_errors off`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LuaSockets {
    /// `lua_socket_connect_timeout`
    pub connect_timeout: Duration,
    /// `lua_socket_send_timeout`
    pub send_timeout: Duration,
    /// `lua_socket_read_timeout`
    pub read_timeout: Duration,
    /// `lua_socket_keepalive_timeout`; zero for no limit.
    pub keepalive_timeout: Duration,
    /// `lua_socket_pool_size`: idle connections of one pool.
    pub pool_size: usize,
    /// `lua_socket_buffer_size` in bytes: the most that `receiveany` gives at once.
    pub buffer_size: usize,
    /// `lua_socket_log_errors`
    pub log_errors: bool,
    /// `lua_ssl_protocols`: names of protocols.
    pub protocols: String,
}

impl Default for LuaSockets {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self {
            connect_timeout: minute,
            send_timeout: minute,
            read_timeout: minute,
            keepalive_timeout: minute,
            pool_size: 256,
            buffer_size: 4096,
            log_errors: false,
            protocols: "TLSv1.2 TLSv1.3".to_owned(),
        }
    }
}

/// The files of `error_template_*`, absolute or relative to the working directory as Kong takes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorTemplates {
    /// `error_template_html`
    pub html: Option<PathBuf>,
    /// `error_template_json`
    pub json: Option<PathBuf>,
    /// `error_template_xml`
    pub xml: Option<PathBuf>,
    /// `error_template_plain`
    pub plain: Option<PathBuf>,
}

/// Every setting the gateway acts on, typed, beside the text of every key ([`Settings::get`]).
///
/// # Source
/// Kong 3.10 `kong.conf.default`; nginx's directives for those named after them.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `prefix`, absolute: where pids, logs and `.kong_env` live.
    pub prefix: PathBuf,
    /// `log_level`
    pub log_level: LogLevel,
    /// `proxy_access_log`
    pub proxy_access_log: AccessLog,
    /// `proxy_error_log`
    pub proxy_error_log: LogTarget,
    /// `admin_access_log`
    pub admin_access_log: AccessLog,
    /// `admin_error_log`
    pub admin_error_log: LogTarget,
    /// `proxy_listen`; empty when off.
    pub proxy_listen: Vec<Listen>,
    /// `admin_listen`; empty when off.
    pub admin_listen: Vec<Listen>,
    /// `status_listen`; empty when off.
    pub status_listen: Vec<Listen>,
    /// `admin_gui_listen`; empty when off.
    pub admin_gui_listen: Vec<Listen>,
    /// `headers`: which of Kong's headers answers to clients carry.
    pub headers: HeaderFlags,
    /// `headers_upstream`: which of Kong's headers requests to upstreams carry.
    pub headers_upstream: HeaderFlags,
    /// `trusted_ips`: whose `X-Forwarded-*` and real-ip header are believed.
    pub trusted_ips: TrustedIps,
    /// `real_ip_header`
    pub real_ip_header: String,
    /// `real_ip_recursive`
    pub real_ip_recursive: bool,
    /// `error_default_type`: the media type of error bodies when the client names none.
    pub error_default_type: String,
    /// `error_template_*`
    pub error_templates: ErrorTemplates,
    /// `upstream_keepalive_pool_size`, idle connections per worker; 0 turns keep-alive off.
    pub upstream_keepalive_pool_size: usize,
    /// `upstream_keepalive_max_requests` per connection; 0 means no limit.
    pub upstream_keepalive_max_requests: u64,
    /// `upstream_keepalive_idle_timeout`; zero means no limit.
    pub upstream_keepalive_idle_timeout: Duration,
    /// `nginx_worker_processes`: how many workers, `auto` being the number of cores.
    pub nginx_worker_processes: usize,
    /// `nginx_daemon`: whether `start` goes to the background.
    pub nginx_daemon: bool,
    /// `nginx_http_client_max_body_size` in bytes; 0 means no limit.
    pub client_max_body_size: u64,
    /// `nginx_http_client_body_buffer_size` in bytes.
    pub client_body_buffer_size: u64,
    /// `nginx_admin_client_max_body_size` in bytes; 0 means no limit.
    pub admin_client_max_body_size: u64,
    /// `nginx_admin_limit_conn`: connections of the Admin API at once.
    pub admin_limit_conn: usize,
    /// `nginx_http_keepalive_requests` per client connection.
    pub keepalive_requests: u64,
    /// `nginx_http_lua_regex_match_limit`: how far `ngx.re` backtracks; 0 for PCRE2's own limit.
    pub regex_match_limit: u32,
    /// `nginx_http_lua_regex_cache_max_entries`: compiled patterns that a worker keeps.
    pub regex_cache_max_entries: u32,
    /// `nginx_http_keepalive_timeout` or `moongate_keepalive_timeout`: an idle client connection's life.
    pub keepalive_timeout: Duration,
    /// `nginx_proxy_limit_rate`: how fast a response leaves, in bytes per second; 0 for no limit.
    pub limit_rate: u64,
    /// `nginx_proxy_limit_rate_after`: how much of it leaves before, in bytes.
    pub limit_rate_after: u64,
    /// The second time of `nginx_http_keepalive_timeout`: clients are told it (`Keep-Alive: timeout=`), in seconds; 0 for
    /// not at all.
    pub keepalive_header: u64,
    /// `nginx_http_client_header_timeout` or `moongate_client_header_timeout`.
    pub client_header_timeout: Duration,
    /// `nginx_http_client_body_timeout` or `moongate_client_body_timeout`: between two reads.
    pub client_body_timeout: Duration,
    /// `nginx_http_large_client_header_buffers` or `moongate_large_client_header_buffers`.
    pub large_client_header_buffers: HeaderBuffers,
    /// `lua_package_path`
    pub lua_package_path: String,
    /// `lua_package_cpath`
    pub lua_package_cpath: String,
    /// `lua_max_req_headers`
    pub lua_max_req_headers: usize,
    /// `lua_max_resp_headers`
    pub lua_max_resp_headers: usize,
    /// `lua_max_uri_args`
    pub lua_max_uri_args: usize,
    /// `lua_max_post_args`
    pub lua_max_post_args: usize,
    /// `nginx_http_lua_max_pending_timers`: timers of a worker that wait for their time.
    pub lua_max_pending_timers: usize,
    /// `nginx_http_lua_max_running_timers`: timers of a worker that run.
    pub lua_max_running_timers: usize,
    /// `nginx_http_lua_capture_error_log`: bytes of its error log that each worker keeps for `ngx.errlog`, 4096 or more;
    /// 0 for none.
    pub lua_capture_error_log: usize,
    /// `nginx_http_lua_check_client_abort` or `nginx_proxy_lua_check_client_abort`: `ngx.on_abort` is there.
    pub lua_check_client_abort: bool,
    /// `nginx_http_lua_worker_thread_vm_pool_size`: calls of `ngx.run_worker_thread` of a worker at once.
    pub lua_worker_thread_vm_pool_size: usize,
    /// `nginx_main_thread_pool`: names of pools, and how many threads each has.
    pub thread_pools: Vec<(String, usize)>,
    /// `plugins`
    pub plugins: PluginList,
    /// `declarative_config`, absolute.
    pub declarative_config: Option<PathBuf>,
    /// `declarative_config_string`
    pub declarative_config_string: Option<String>,
    /// `allow_debug_header`
    pub allow_debug_header: bool,
    /// `router_flavor`
    pub router_flavor: RouterFlavor,
    /// `port_maps`: the port listened on to the port the world sees.
    pub port_maps: BTreeMap<u16, u16>,
    /// `untrusted_lua`
    pub untrusted_lua: UntrustedLua,
    /// Kong's own shared dictionaries and those of `nginx_http_lua_shared_dict`.
    pub lua_shared_dicts: Vec<SharedDict>,
    /// `lua_ssl_trusted_certificate`: files, PEM text or `system`.
    pub lua_ssl_trusted_certificate: Vec<String>,
    /// `lua_ssl_verify_depth`
    pub lua_ssl_verify_depth: u32,
    /// How upstreams are spoken TLS to.
    pub upstream_tls: UpstreamTls,
    /// Cosockets.
    pub lua_sockets: LuaSockets,
    /// `ssl_cert`: files or PEM text, in step with `ssl_cert_key`.
    pub ssl_cert: Vec<String>,
    /// `ssl_cert_key`
    pub ssl_cert_key: Vec<String>,
    /// `node_id`, a UUID.
    pub node_id: Option<String>,
    /// `moongate_lua_memory_limit`: bytes of Lua memory per worker; 0 means no limit.
    pub moongate_lua_memory_limit: usize,
    /// `moongate_handler_timeout`: CPU time a plugin's handler may burn without yielding; zero means no limit.
    pub moongate_handler_timeout: Duration,
    /// `moongate_drain_timeout`: how long open exchanges may take once a graceful stop was asked for.
    pub moongate_drain_timeout: Duration,
    /// `moongate_echo_listen`: where the embedded echo upstreams listen; empty when off.
    pub moongate_echo_listen: Vec<Listen>,
    /// `moongate_lua_dir`: the folder plugins are dropped into, absolute.
    pub moongate_lua_dir: PathBuf,
    /// The text of every key that has a value, vault references resolved.
    pub raw: BTreeMap<String, String>,
    /// The keys whose value came from a vault reference, with that reference: what may be written to disk.
    refs: BTreeMap<String, String>,
}

// === impl Settings ===

impl Settings {
    /// The text of `key`, or `None` where it is unset.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.raw.get(key).map(String::as_str)
    }

    /// `key` read as a list: comma separated, trimmed, empty entries dropped.
    pub fn array(&self, key: &str) -> Vec<String> {
        self.get(key).map(value::array).unwrap_or_default()
    }

    /// The vault references among the values, each once.
    pub fn references(&self) -> Vec<String> {
        let mut all: Vec<String> = self
            .refs
            .iter()
            .flat_map(|(key, text)| match defaults::kind(key) {
                defaults::Kind::Array => value::array(text),
                _ => vec![text.clone()],
            })
            .filter(|text| vault::is_reference(text))
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// `<prefix>/pids/nginx.pid`
    pub fn nginx_pid(&self) -> PathBuf {
        self.prefix.join("pids").join("nginx.pid")
    }

    /// `<prefix>/.kong_env`
    pub fn kong_env(&self) -> PathBuf {
        self.prefix.join(".kong_env")
    }
}

#[cfg(test)]
mod tests;
