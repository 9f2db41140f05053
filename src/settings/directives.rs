//! nginx directives that arrive as `nginx_<block>_<directive>`: which are honoured, and what they say.

use super::defaults::KEYS;
use super::source::Layer;
use super::value;

/// A `lua_shared_dict`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedDict {
    /// Its name in `ngx.shared`.
    pub name: String,
    /// Its size in bytes.
    pub size: usize,
}

/// nginx's `large_client_header_buffers`: the longest line and, with the count, the longest head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderBuffers {
    /// How many.
    pub count: usize,
    /// How long each, in bytes.
    pub size: usize,
}

/// Directives read from the `http`, `server` and `location` blocks alike; the innermost that is set counts.
const HONOURED_ANYWHERE: &[&str] = &[
    "client_max_body_size",
    "client_body_buffer_size",
    "keepalive_requests",
    "lua_regex_match_limit",
    "lua_regex_cache_max_entries",
    "keepalive_timeout",
    "limit_rate",
    "limit_rate_after",
    "client_header_timeout",
    "client_body_timeout",
    "large_client_header_buffers",
    "real_ip_header",
    "real_ip_recursive",
    "ssl_conf_command",
    "ssl_ecdh_curve",
    "proxy_ssl_verify",
    "proxy_ssl_verify_depth",
    "proxy_ssl_trusted_certificate",
    "proxy_ssl_protocols",
    "proxy_ssl_session_reuse",
    "lua_check_client_abort",
    "lua_socket_connect_timeout",
    "lua_socket_send_timeout",
    "lua_socket_read_timeout",
    "lua_socket_keepalive_timeout",
    "lua_socket_pool_size",
    "lua_socket_buffer_size",
    "lua_socket_log_errors",
    "lua_ssl_protocols",
];

const BLOCKS: &[&str] = &["nginx_location_", "nginx_proxy_", "nginx_http_"];

const HONOURED: &[&str] = &[
    "nginx_daemon",
    "nginx_main_daemon",
    "nginx_worker_processes",
    "nginx_main_worker_processes",
    "nginx_http_lua_shared_dict",
    "nginx_admin_client_max_body_size",
    "nginx_admin_limit_conn",
    "nginx_http_lua_max_pending_timers",
    "nginx_http_lua_max_running_timers",
    "nginx_http_lua_capture_error_log",
    "nginx_http_lua_worker_thread_vm_pool_size",
    "nginx_main_thread_pool",
];

/// Kong's own dictionaries; those without a size here are as large as `mem_cache_size`.
///
/// # Source
/// Kong 3.10's nginx configuration, `lua_shared_dict`.
const OWN_DICTS: &[(&str, Option<usize>)] = &[
    ("kong", Some(5 << 20)),
    ("kong_locks", Some(8 << 20)),
    ("kong_healthchecks", Some(5 << 20)),
    ("kong_cluster_events", Some(5 << 20)),
    ("kong_rate_limiting_counters", Some(12 << 20)),
    ("kong_core_db_cache", None),
    ("kong_core_db_cache_miss", Some(12 << 20)),
    ("kong_db_cache", None),
    ("kong_db_cache_miss", Some(12 << 20)),
    ("kong_secrets", Some(5 << 20)),
    ("prometheus_metrics", Some(5 << 20)),
];

/// nginx refuses dictionaries below this.
const SMALLEST_DICT: u64 = 8 << 10;

/// The key under which `directive` is set, innermost block first.
pub(super) fn key_of(layer: &Layer, directive: &str) -> Option<String> {
    BLOCKS
        .iter()
        .map(|block| format!("{block}{directive}"))
        .find(|key| layer.contains_key(key))
}

/// Warnings for `nginx_*` keys that say something which is not done here.
pub(super) fn warn_ignored(
    layer: &Layer,
    same_as: impl Fn(&str) -> Option<&'static str>,
    warnings: &mut Vec<String>,
) {
    for (key, value) in layer
        .range("nginx_".to_owned()..)
        .take_while(|(k, _)| k.starts_with("nginx_"))
    {
        let default = KEYS
            .iter()
            .find(|(k, ..)| k == key)
            .map_or("", |(_, _, default)| default);
        let honoured = HONOURED.contains(&key.as_str())
            || BLOCKS.iter().any(|b| {
                key.strip_prefix(b)
                    .is_some_and(|d| HONOURED_ANYWHERE.contains(&d))
            });
        // Filled in from Kong's own key, which is the one the user knows.
        let filled_in = same_as(key).is_some_and(|kong| layer.get(kong) == Some(value));
        if value != default && !honoured && !filled_in {
            warnings.push(format!("{key} is not honoured"));
        }
    }
}

/// Kong's dictionaries and those of `nginx_http_lua_shared_dict`, which may change the size of Kong's.
pub(super) fn shared_dicts(
    layer: &Layer,
    mem_cache_size: usize,
    errors: &mut Vec<String>,
) -> Vec<SharedDict> {
    let mut dicts: Vec<SharedDict> = OWN_DICTS
        .iter()
        .map(|(name, size)| SharedDict {
            name: (*name).to_owned(),
            size: size.unwrap_or(mem_cache_size),
        })
        .collect();
    let Some(text) = layer.get("nginx_http_lua_shared_dict") else {
        return dicts;
    };
    for entry in text.split(';').map(str::trim).filter(|e| !e.is_empty()) {
        match shared_dict(entry) {
            None => errors.push(format!(
                "nginx_http_lua_shared_dict: invalid lua shared dict \"{entry}\""
            )),
            Some(dict) => match dicts.iter_mut().find(|d| d.name == dict.name) {
                Some(own) => *own = dict,
                None => dicts.push(dict),
            },
        }
    }
    dicts
}

/// `name 10m`, with or without `lua_shared_dict` before it.
fn shared_dict(entry: &str) -> Option<SharedDict> {
    let entry = entry
        .strip_prefix("lua_shared_dict")
        .filter(|e| e.starts_with(char::is_whitespace))
        .unwrap_or(entry);
    let mut words = entry.split_whitespace();
    let (name, size) = (words.next()?, value::parse_size(words.next()?)?);
    if words.next().is_some() || size < SMALLEST_DICT {
        return None;
    }
    Some(SharedDict {
        name: name.to_owned(),
        size: usize::try_from(size).ok()?,
    })
}

/// nginx's own number of threads in a pool.
const POOL_THREADS: usize = 32;

/// The pool `default`, and those of `nginx_main_thread_pool` (`name threads=8 max_queue=100`).
pub(super) fn thread_pools(layer: &Layer, errors: &mut Vec<String>) -> Vec<(String, usize)> {
    let mut pools = vec![("default".to_owned(), POOL_THREADS)];
    let text = layer.get("nginx_main_thread_pool").map_or("", String::as_str);
    for entry in text.split(';').map(str::trim).filter(|e| !e.is_empty()) {
        let mut words = entry.split_whitespace();
        let name = words.next().unwrap_or_default();
        let mut threads = POOL_THREADS;
        for word in words {
            match word.split_once('=') {
                Some(("threads", n)) => match n.parse() {
                    Ok(n @ 1..=1024) => threads = n,
                    _ => errors.push(format!("nginx_main_thread_pool: invalid threads value \"{n}\"")),
                },
                Some(("max_queue", _)) => {}
                _ => errors.push(format!("nginx_main_thread_pool: invalid parameter \"{word}\"")),
            }
        }
        match pools.iter_mut().find(|(known, _)| known == name) {
            Some(known) => known.1 = threads,
            None => pools.push((name.to_owned(), threads)),
        }
    }
    pools
}

/// `4 8k`
pub(super) fn header_buffers(text: &str) -> Option<HeaderBuffers> {
    let (count, size) = text.trim().split_once(char::is_whitespace)?;
    let buffers = HeaderBuffers {
        count: count.parse().ok()?,
        size: usize::try_from(value::parse_size(size)?).ok()?,
    };
    (buffers.count > 0 && buffers.size > 0).then_some(buffers)
}
