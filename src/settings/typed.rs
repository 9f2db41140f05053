//! From text to the typed fields, collecting everything that is wrong on the way.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::defaults::{KEYS, Kind};
use super::directives::{self, HeaderBuffers};
use super::listen::{self, Listen};
use super::source::Layer;
use super::value::{self, parse_size, parse_time};
use super::{
    AccessLog, ErrorTemplates, HeaderFlags, LogLevel, LogTarget, LuaSockets, PluginList, RouterFlavor,
    Settings, TrustedIps, UntrustedLua, UpstreamTls, load,
};

/// What `tracing_instrumentations` may name.
const SPANS: [&str; 12] = [
    "all",
    "off",
    "request",
    "balancer",
    "router",
    "plugin_rewrite",
    "plugin_access",
    "plugin_header_filter",
    "http_client",
    "dns_query",
    "db_query",
    "create_span",
];

struct Reader<'a> {
    layer: Layer,
    errors: &'a mut Vec<String>,
    warnings: &'a mut Vec<String>,
}

/// Reads `layer`; what is wrong goes into `errors`, and then the result is of no use.
pub(super) fn build(
    layer: Layer,
    refs: Layer,
    look_only: bool,
    errors: &mut Vec<String>,
    warnings: &mut Vec<String>,
) -> Settings {
    let mut r = Reader {
        layer,
        errors,
        warnings,
    };
    r.check_kinds();
    if !look_only {
        r.refuse_what_is_not_there();
        r.check_names();
        r.check_tracing();
    }
    r.make_absolute();
    directives::warn_ignored(&r.layer, load::kong_key_of, r.warnings);
    r.settings(refs)
}

// === impl Reader ===

impl Reader<'_> {
    fn settings(mut self, refs: Layer) -> Settings {
        let r = &mut self;
        let prefix = PathBuf::from(r.text("prefix"));
        let (mem_cache_size, node_id) = (r.size("mem_cache_size"), r.node_id());
        Settings {
            log_level: r.text("log_level").parse().unwrap_or(LogLevel::Notice),
            proxy_access_log: AccessLog::parse(&r.text("proxy_access_log"), &prefix),
            proxy_error_log: LogTarget::parse(&r.text("proxy_error_log"), &prefix),
            admin_access_log: AccessLog::parse(&r.text("admin_access_log"), &prefix),
            admin_error_log: LogTarget::parse(&r.text("admin_error_log"), &prefix),
            proxy_listen: r.listen("proxy_listen"),
            admin_listen: r.listen("admin_listen"),
            status_listen: r.listen("status_listen"),
            admin_gui_listen: r.listen("admin_gui_listen"),
            headers: HeaderFlags::downstream(&r.array("headers"), r.errors),
            headers_upstream: HeaderFlags::upstream(&r.array("headers_upstream"), r.errors),
            trusted_ips: TrustedIps::parse(&r.array("trusted_ips"), r.errors),
            real_ip_header: r.text("real_ip_header"),
            real_ip_recursive: r.text("real_ip_recursive") == "on",
            error_default_type: r.text("error_default_type"),
            error_templates: r.error_templates(),
            upstream_keepalive_pool_size: r.whole("upstream_keepalive_pool_size", 0, usize::MAX as u64)
                as usize,
            upstream_keepalive_max_requests: r.whole("upstream_keepalive_max_requests", 0, u64::MAX),
            upstream_keepalive_idle_timeout: r.seconds("upstream_keepalive_idle_timeout"),
            nginx_worker_processes: r.worker_processes(),
            nginx_daemon: r.text("nginx_daemon") != "off",
            client_max_body_size: r.directive("client_max_body_size", "", 0, parse_size),
            client_body_buffer_size: r.directive("client_body_buffer_size", "", 8192, parse_size),
            admin_client_max_body_size: r.size("nginx_admin_client_max_body_size"),
            admin_limit_conn: r.admin_limit_conn(),
            keepalive_requests: r.directive("keepalive_requests", "", 10_000, |t| t.parse().ok()),
            regex_match_limit: r.directive("lua_regex_match_limit", "", 100_000, |t| t.parse().ok()),
            regex_cache_max_entries: r.directive("lua_regex_cache_max_entries", "", 8192, |t| t.parse().ok()),
            keepalive_timeout: r.time_directive("keepalive_timeout"),
            limit_rate: r.directive("limit_rate", "", 0, parse_size),
            limit_rate_after: r.directive("limit_rate_after", "", 0, parse_size),
            keepalive_header: r.keepalive_header(),
            client_header_timeout: r.time_directive("client_header_timeout"),
            client_body_timeout: r.time_directive("client_body_timeout"),
            large_client_header_buffers: r.directive(
                "large_client_header_buffers",
                "moongate_large_client_header_buffers",
                HeaderBuffers { count: 4, size: 8192 },
                directives::header_buffers,
            ),
            lua_package_path: r.text("lua_package_path"),
            lua_package_cpath: r.text("lua_package_cpath"),
            lua_max_req_headers: r.whole("lua_max_req_headers", 1, 1000) as usize,
            lua_max_resp_headers: r.whole("lua_max_resp_headers", 1, 1000) as usize,
            lua_max_uri_args: r.whole("lua_max_uri_args", 1, 1000) as usize,
            lua_max_post_args: r.whole("lua_max_post_args", 1, 1000) as usize,
            lua_max_pending_timers: r.directive("lua_max_pending_timers", "", 16_384, |t| t.parse().ok()),
            lua_max_running_timers: r.directive("lua_max_running_timers", "", 4096, |t| t.parse().ok()),
            lua_capture_error_log: r.directive("lua_capture_error_log", "", 0, |t| {
                let size = parse_size(t).filter(|n| (4096..=1 << 30).contains(n))?;
                usize::try_from(size).ok()
            }),
            lua_check_client_abort: r.directive("lua_check_client_abort", "", false, on_or_off),
            lua_worker_thread_vm_pool_size: r.directive("lua_worker_thread_vm_pool_size", "", 10, |t| {
                t.parse().ok().filter(|n| *n <= 1000)
            }),
            thread_pools: directives::thread_pools(&r.layer, r.errors),
            plugins: PluginList::parse(&r.array("plugins")),
            declarative_config: r.path("declarative_config"),
            declarative_config_string: r.layer.get("declarative_config_string").cloned(),
            allow_debug_header: value::boolean(&r.text("allow_debug_header")),
            router_flavor: match r.text("router_flavor").as_str() {
                "traditional" => RouterFlavor::Traditional,
                _ => RouterFlavor::TraditionalCompatible,
            },
            port_maps: r.port_maps(),
            untrusted_lua: match r.text("untrusted_lua").as_str() {
                "on" => UntrustedLua::On,
                "off" => UntrustedLua::Off,
                _ => UntrustedLua::Sandbox,
            },
            lua_shared_dicts: directives::shared_dicts(&r.layer, mem_cache_size as usize, r.errors),
            lua_ssl_trusted_certificate: r.array("lua_ssl_trusted_certificate"),
            lua_ssl_verify_depth: r.whole("lua_ssl_verify_depth", 0, 100) as u32,
            lua_sockets: r.lua_sockets(),
            upstream_tls: r.upstream_tls(&prefix),
            ssl_cert: r.array("ssl_cert"),
            ssl_cert_key: r.array("ssl_cert_key"),
            node_id,
            moongate_lua_memory_limit: r.size("moongate_lua_memory_limit") as usize,
            moongate_handler_timeout: r.time("moongate_handler_timeout"),
            moongate_drain_timeout: r.time("moongate_drain_timeout"),
            moongate_echo_listen: r.listen("moongate_echo_listen"),
            moongate_lua_dir: PathBuf::from(r.text("moongate_lua_dir")),
            prefix,
            raw: self.layer,
            refs,
        }
    }

    /// The text of `key`; its default where it is unset and has one.
    fn text(&self, key: &str) -> String {
        self.layer
            .get(key)
            .map_or_else(|| self.default_of(key), String::as_str)
            .to_owned()
    }

    fn default_of(&self, key: &str) -> &'static str {
        KEYS.iter()
            .find(|(k, ..)| *k == key)
            .map_or("", |(_, _, default)| default)
    }

    fn array(&self, key: &str) -> Vec<String> {
        self.layer
            .get(key)
            .map(|text| value::array(text))
            .unwrap_or_default()
    }

    fn path(&self, key: &str) -> Option<PathBuf> {
        self.layer.get(key).map(PathBuf::from)
    }

    fn check_kinds(&mut self) {
        for (key, kind, _) in KEYS {
            let Some(text) = self.layer.get_mut(*key) else {
                continue;
            };
            match kind {
                Kind::Number if text.parse::<f64>().is_err() => {
                    self.errors.push(format!("{key} is not a number: '{text}'"));
                }
                Kind::OneOf(values) if !values.contains(&text.as_str()) => {
                    let values = values.join(", ");
                    self.errors
                        .push(format!("{key} has an invalid value: '{text}' ({values})"));
                }
                Kind::Boolean | Kind::NgxBoolean => {
                    if !matches!(text.as_str(), "on" | "off" | "true" | "false") {
                        self.warnings
                            .push(format!("{key} is neither on nor off, taken as off: '{text}'"));
                    }
                    *text = if value::boolean(text) { "on" } else { "off" }.to_owned();
                }
                _ => {}
            }
        }
    }

    fn refuse_what_is_not_there(&mut self) {
        let not_supported = [
            (
                "database",
                self.text("database") != "off",
                "use database = off with a declarative configuration",
            ),
            (
                "role",
                self.text("role") != "traditional",
                "only role = traditional is",
            ),
            (
                "router_flavor",
                self.text("router_flavor") == "expressions",
                "use traditional_compatible",
            ),
            ("wasm", self.text("wasm") == "on", "use wasm = off"),
            (
                "stream_listen",
                self.text("stream_listen") != "off",
                "use stream_listen = off",
            ),
            (
                "pluginserver_names",
                self.layer.contains_key("pluginserver_names"),
                "plugins are written in Lua",
            ),
        ];
        for (key, refused, instead) in not_supported {
            if refused {
                self.errors
                    .push(format!("{key} = {} is not supported: {instead}", self.text(key)));
            }
        }
    }

    /// Paths of the gateway's own making mean the same in the daemon and after a reload, wherever those run.
    fn make_absolute(&mut self) {
        for key in ["prefix", "declarative_config", "moongate_lua_dir"] {
            let text = self.text(key);
            if !text.is_empty() {
                self.layer
                    .insert(key.to_owned(), absolute(Path::new(&text)).display().to_string());
            }
        }
        // these may be text as well
        for key in [
            "client_ssl_cert",
            "client_ssl_cert_key",
            "nginx_proxy_proxy_ssl_trusted_certificate",
        ] {
            let file = self.layer.get(key).filter(|text| Path::new(text).is_file());
            if let Some(file) = file.map(|file| absolute(Path::new(file)).display().to_string()) {
                self.layer.insert(key.to_owned(), file);
            }
        }
    }

    fn listen(&mut self, key: &str) -> Vec<Listen> {
        listen::parse(key, &self.array(key)).unwrap_or_else(|error| {
            self.errors.push(error);
            Vec::new()
        })
    }

    /// A whole number between `least` and `most`.
    fn whole(&mut self, key: &str, least: u64, most: u64) -> u64 {
        let text = self.text(key);
        let Ok(number) = text.parse::<f64>() else {
            return least;
        }; // said by check_kinds
        if number.fract() == 0.0 && number >= least as f64 && number <= most as f64 {
            return number as u64;
        }
        self.errors
            .push(if most == u64::MAX || most == usize::MAX as u64 {
                format!("{key} must be {least} or greater")
            } else {
                format!("{key} must be an integer between {least} and {most}")
            });
        least
    }

    fn seconds(&mut self, key: &str) -> Duration {
        let seconds = self.text(key).parse::<f64>().unwrap_or_default();
        Duration::try_from_secs_f64(seconds).unwrap_or_else(|_| {
            self.errors.push(format!("{key} must be 0 or greater"));
            Duration::ZERO
        })
    }

    fn size(&mut self, key: &str) -> u64 {
        let text = self.text(key);
        parse_size(&text).unwrap_or_else(|| self.invalid(key, &text, 0))
    }

    fn time(&mut self, key: &str) -> Duration {
        let text = self.text(key);
        parse_time(&text).unwrap_or_else(|| self.invalid(key, &text, Duration::ZERO))
    }

    fn invalid<T>(&mut self, key: &str, text: &str, instead: T) -> T {
        self.errors.push(format!("{key} has an invalid value: '{text}'"));
        instead
    }

    /// An nginx directive where one is set, else `own_key`, else `default`.
    fn directive<T>(&mut self, name: &str, own_key: &str, default: T, read: impl Fn(&str) -> Option<T>) -> T {
        let key = directives::key_of(&self.layer, name).unwrap_or_else(|| own_key.to_owned());
        match self.text(&key) {
            text if text.is_empty() => default,
            text => read(&text).unwrap_or_else(|| self.invalid(&key, &text, default)),
        }
    }

    fn time_directive(&mut self, name: &str) -> Duration {
        // keepalive_timeout may carry a second time, which is only told to clients.
        let first = |text: &str| parse_time(text.split_whitespace().next().unwrap_or_default());
        self.directive(name, &format!("moongate_{name}"), Duration::ZERO, first)
    }

    fn admin_limit_conn(&mut self) -> usize {
        // nginx's has the name of a zone before the number
        let text = self.text("nginx_admin_limit_conn");
        match text.split_whitespace().last().unwrap_or("128").parse() {
            Ok(most @ 1..=65_536) => most,
            _ => self.invalid("nginx_admin_limit_conn", &text, 128),
        }
    }

    fn keepalive_header(&mut self) -> u64 {
        let second = |text: &str| match text.split_whitespace().nth(1) {
            Some(told) => parse_time(told).map(|t| t.as_secs()),
            None => Some(0),
        };
        self.directive("keepalive_timeout", "moongate_keepalive_timeout", 0, second)
    }

    fn worker_processes(&mut self) -> usize {
        let text = self.text("nginx_worker_processes");
        if text == "auto" {
            return std::thread::available_parallelism().map_or(1, usize::from);
        }
        match text.parse() {
            Ok(count @ 1..=1024) => count,
            _ => self.invalid("nginx_worker_processes", &text, 1),
        }
    }

    fn lua_sockets(&mut self) -> LuaSockets {
        let d = LuaSockets::default();
        let pool = self.whole("lua_socket_pool_size", 1, 1 << 20) as usize;
        let size = |t: &str| parse_size(t).filter(|n| (1..=1 << 20).contains(n));
        LuaSockets {
            connect_timeout: self.directive("lua_socket_connect_timeout", "", d.connect_timeout, parse_time),
            send_timeout: self.directive("lua_socket_send_timeout", "", d.send_timeout, parse_time),
            read_timeout: self.directive("lua_socket_read_timeout", "", d.read_timeout, parse_time),
            keepalive_timeout: self.directive(
                "lua_socket_keepalive_timeout",
                "",
                d.keepalive_timeout,
                parse_time,
            ),
            pool_size: self.directive("lua_socket_pool_size", "", pool, |t| {
                t.parse().ok().filter(|n| (1..=1 << 20).contains(n))
            }),
            buffer_size: self.directive("lua_socket_buffer_size", "", d.buffer_size as u64, size) as usize,
            log_errors: self.directive("lua_socket_log_errors", "", d.log_errors, on_or_off),
            protocols: self
                .directive("lua_ssl_protocols", "lua_ssl_protocols", None, |t| {
                    Some(Some(t.to_owned()))
                })
                .unwrap_or_default(),
        }
    }

    fn upstream_tls(&mut self, prefix: &Path) -> UpstreamTls {
        let depth = self.whole("lua_ssl_verify_depth", 0, 100) as u8;
        let mut trusted = self.array("lua_ssl_trusted_certificate");
        if let Some(file) = self.directive("proxy_ssl_trusted_certificate", "", None, |t| {
            Some(Some(t.to_owned()))
        }) {
            trusted = vec![file];
        }
        let protocols = self.directive("proxy_ssl_protocols", "", None, |t| Some(Some(t.to_owned())));
        let protocols = protocols.unwrap_or_else(|| "TLSv1.2 TLSv1.3".to_owned());
        if !protocols
            .split_whitespace()
            .any(|p| matches!(p, "TLSv1.2" | "TLSv1.3"))
        {
            self.errors.push(format!(
                "proxy_ssl_protocols = {protocols} is not supported: only TLSv1.2 and TLSv1.3 are"
            ));
        }
        UpstreamTls {
            identity: self.client_ssl(prefix),
            verify: self.directive("proxy_ssl_verify", "", false, on_or_off),
            verify_depth: self.directive("proxy_ssl_verify_depth", "", depth, |t| t.parse().ok()),
            trusted_certificates: trusted,
            protocols,
            session_reuse: self.directive("proxy_ssl_session_reuse", "", true, on_or_off),
        }
    }

    fn client_ssl(&mut self, prefix: &Path) -> Option<(String, String)> {
        if !value::boolean(&self.text("client_ssl")) {
            return None;
        }
        let given = |key: &str| self.layer.get(key).cloned();
        match (given("client_ssl_cert"), given("client_ssl_cert_key")) {
            (Some(cert), Some(key)) => return Some((cert, key)),
            (Some(_), None) => self
                .errors
                .push("client_ssl_cert_key must be specified".to_owned()),
            (None, Some(_)) => self.errors.push("client_ssl_cert must be specified".to_owned()),
            (None, None) => {
                let file = |name: &str| prefix.join("ssl").join(name).display().to_string();
                return Some((file("kong-default.crt"), file("kong-default.key")));
            }
        }
        None
    }

    fn error_templates(&self) -> ErrorTemplates {
        ErrorTemplates {
            html: self.path("error_template_html"),
            json: self.path("error_template_json"),
            xml: self.path("error_template_xml"),
            plain: self.path("error_template_plain"),
        }
    }

    /// `80:8000` is "the world's 80 is our 8000".
    fn port_maps(&mut self) -> BTreeMap<u16, u16> {
        let mut maps = BTreeMap::new();
        for entry in self.array("port_maps") {
            let ports = entry
                .split_once(':')
                .and_then(|(host, kong)| Some((port(host)?, port(kong)?)));
            match ports {
                Some((host, kong)) => drop(maps.insert(kong, host)),
                None => self
                    .errors
                    .push(format!("invalid port mapping (`port_maps`): {entry}")),
            }
        }
        maps
    }

    /// Which spans the gateway makes, and of which share of the traces.
    ///
    /// # Source
    /// `kong/conf_loader/parse.lua`
    fn check_tracing(&mut self) {
        let chosen = self.array("tracing_instrumentations");
        for name in &chosen {
            if !SPANS.contains(&name.as_str()) {
                self.errors.push(format!("invalid tracing type: {name}"));
            }
        }
        if chosen.len() > 1 && chosen.iter().any(|name| name == "off") {
            let said = "invalid tracing types: off, other types are mutually exclusive";
            self.errors.push(said.to_owned());
        }
        let rate = self.text("tracing_sampling_rate").parse::<f64>();
        if rate.is_ok_and(|rate| !(0.0..=1.0).contains(&rate)) {
            let said = "tracing_sampling_rate must be between 0 and 1";
            self.errors.push(said.to_owned());
        }
    }

    /// # Source
    /// `kong/conf_loader/parse.lua`
    fn check_names(&mut self) {
        for key in ["dns_resolver", "resolver_address"] {
            for server in self.array(key) {
                if !is_server(&server) {
                    self.errors.push(format!(
                        "{key} must be a comma separated list in the form of IPv4/6 or IPv4/6:port, got '{server}'"
                    ));
                }
            }
        }
        for (key, allowed) in [
            ("dns_order", &["LAST", "A", "AAAA", "CNAME", "SRV"][..]),
            ("resolver_family", &["A", "AAAA", "SRV"][..]),
        ] {
            for entry in self.array(key) {
                if !allowed.contains(&entry.to_ascii_uppercase().as_str()) {
                    self.errors.push(format!("{key}: invalid entry '{entry}'"));
                }
            }
        }
        for key in ["dns_hostsfile", "resolver_hosts_file"] {
            let set = self.layer.get(key).cloned();
            let default = self.default_of(key);
            // the default need not be there: what is missing defines no names
            if set.is_some_and(|path| path != default && !Path::new(&path).is_file()) {
                self.errors.push(format!("{key}: file does not exist"));
            }
        }
    }

    fn node_id(&mut self) -> Option<String> {
        let id = self.layer.get("node_id").cloned()?;
        if uuid::Uuid::try_parse(&id).is_err() {
            self.errors.push("node_id must be a valid UUID".to_owned());
        }
        Some(id)
    }
}

/// An address with a port or without.
fn is_server(text: &str) -> bool {
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    let address = bare.unwrap_or(text).parse::<std::net::IpAddr>();
    address.is_ok() || text.parse::<std::net::SocketAddr>().is_ok()
}

fn on_or_off(text: &str) -> Option<bool> {
    match text {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port > 0)
}

/// `path` from the root, without `.` and `..`, as it reads (links are not followed).
pub(super) fn absolute(path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut clean = PathBuf::new();
    for part in whole.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(clean.pop()),
            other => clean.push(other),
        }
    }
    clean
}
