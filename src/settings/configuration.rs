//! `kong.configuration`: the settings as Lua sees them.

use serde_json::{Map, Value, json};

use super::defaults::{self, Kind, SENSITIVE};
use super::{HeaderFlags, Listen, Settings, value, vault};

/// Files below the prefix, by the key Kong has their paths under.
const PREFIX_PATHS: &[(&str, &str)] = &[
    ("nginx_pid", "pids/nginx.pid"),
    ("nginx_err_logs", "logs/error.log"),
    ("nginx_acc_logs", "logs/access.log"),
    ("admin_acc_logs", "logs/admin_access.log"),
    ("nginx_conf", "nginx.conf"),
    ("kong_env", ".kong_env"),
    ("kong_process_secrets", ".kong_process_secrets"),
    ("ssl_cert_default", "ssl/kong-default.crt"),
    ("ssl_cert_key_default", "ssl/kong-default.key"),
    ("client_ssl_cert_default", "ssl/kong-default.crt"),
    ("client_ssl_cert_key_default", "ssl/kong-default.key"),
    ("admin_ssl_cert_default", "ssl/admin-kong-default.crt"),
    ("admin_ssl_cert_key_default", "ssl/admin-kong-default.key"),
    ("socket_path", "sockets"),
];

/// Blocks whose directives Lua sees as `<block>_directives`.
const DIRECTIVE_BLOCKS: &[&str] = &[
    "nginx_main",
    "nginx_events",
    "nginx_http",
    "nginx_upstream",
    "nginx_proxy",
    "nginx_location",
    "nginx_status",
    "nginx_admin",
    "nginx_stream",
    "nginx_supstream",
    "nginx_sproxy",
];

impl Settings {
    /// What `kong.configuration` holds: typed values, and what Kong works out from them. Unset keys are absent.
    ///
    /// # Source
    /// Kong 3.10 `kong/conf_loader/init.lua`.
    pub fn configuration_json(&self) -> Value {
        let mut map: Map<String, Value> = self
            .raw
            .iter()
            .filter_map(|(key, text)| Some((key.clone(), typed(key, text)?)))
            .collect();
        for (key, kind, _) in defaults::KEYS {
            if *kind == Kind::Array && !map.contains_key(*key) {
                map.insert((*key).to_owned(), json!([]));
            }
        }
        for (key, path) in PREFIX_PATHS {
            map.insert(
                (*key).to_owned(),
                self.prefix.join(path).display().to_string().into(),
            );
        }
        for block in DIRECTIVE_BLOCKS {
            map.insert(format!("{block}_directives"), self.directives(block));
        }
        self.insert_listeners(&mut map);
        map.insert("enabled_headers".to_owned(), flags(self.headers));
        let upstream = json!({ "X-Kong-Request-Id": self.headers_upstream.request_id });
        map.insert("enabled_headers_upstream".to_owned(), upstream);
        map.insert(
            "loaded_plugins".to_owned(),
            set(self.plugins.enabled().into_iter()),
        );
        let vaults = self.array("vaults");
        let vaults = vaults
            .iter()
            .map(|name| if name == "bundled" { "env" } else { name });
        map.insert(
            "loaded_vaults".to_owned(),
            set(vaults.filter(|name| *name != "off")),
        );
        let ports = self
            .port_maps
            .iter()
            .map(|(kong, host)| (kong.to_string(), Value::from(*host)));
        map.insert("host_ports".to_owned(), Value::Object(ports.collect()));
        if !self.refs.is_empty() {
            map.insert("$refs".to_owned(), Value::Object(self.references_by_key()));
        }
        Value::Object(map)
    }

    /// The vault references by key: the text of one, or a list that is null where an entry is none.
    fn references_by_key(&self) -> Map<String, Value> {
        let entry = |text: &str| match text {
            text if vault::is_reference(text) => Value::from(text),
            _ => Value::Null,
        };
        let references = self.refs.iter().map(|(key, text)| {
            let value = match defaults::kind(key) {
                Kind::Array => value::array(text).iter().map(|item| entry(item)).collect(),
                _ => entry(text),
            };
            (key.clone(), value)
        });
        references.collect()
    }

    /// [`Settings::configuration_json`] with what must not be shown starred out, vault references as written.
    pub fn configuration_without_secrets(&self) -> Value {
        let mut value = self.configuration_json();
        if let Value::Object(map) = &mut value {
            map.remove("$refs");
            map.extend(self.references_by_key());
            for key in SENSITIVE.iter().filter(|key| self.raw.contains_key(**key)) {
                map.insert((*key).to_owned(), "******".into());
            }
        }
        value
    }

    fn insert_listeners(&self, map: &mut Map<String, Value>) {
        let lists = [
            ("proxy", &self.proxy_listen),
            ("admin", &self.admin_listen),
            ("status", &self.status_listen),
            ("admin_gui", &self.admin_gui_listen),
        ];
        let mut any_ssl = false;
        for (name, list) in lists {
            let ssl = list.iter().any(|l| l.ssl);
            any_ssl |= ssl;
            map.insert(format!("{name}_listeners"), listeners(list));
            map.insert(format!("{name}_ssl_enabled"), ssl.into());
        }
        map.insert("stream_listeners".to_owned(), json!([]));
        map.insert("cluster_listeners".to_owned(), json!([]));
        map.insert("stream_proxy_ssl_enabled".to_owned(), false.into());
        if any_ssl {
            map.insert("ssl_enabled".to_owned(), true.into());
        }
    }

    fn directives(&self, block: &str) -> Value {
        let start = format!("{block}_");
        let list = self
            .raw
            .range(start.clone()..)
            .map_while(|(key, value)| Some((key.strip_prefix(&start)?, value)));
        list.map(|(name, value)| json!({ "name": name, "value": value }))
            .collect()
    }
}

fn typed(key: &str, text: &str) -> Option<Value> {
    Some(match defaults::kind(key) {
        Kind::Text | Kind::NgxBoolean | Kind::OneOf(_) => text.into(),
        Kind::Boolean => value::boolean(text).into(),
        Kind::Array => value::array(text).into(),
        Kind::Number => match text.parse::<i64>() {
            Ok(whole) => whole.into(),
            Err(_) => text.parse::<f64>().ok().filter(|n| n.is_finite())?.into(),
        },
    })
}

fn flags(flags: HeaderFlags) -> Value {
    Value::Object(
        flags
            .named()
            .iter()
            .map(|(name, on)| ((*name).to_owned(), Value::from(*on)))
            .collect(),
    )
}

fn set<'a>(names: impl Iterator<Item = &'a str>) -> Value {
    Value::Object(names.map(|name| (name.to_owned(), Value::from(true))).collect())
}

/// A name that stands for several addresses is one listener to Lua, as it was written.
fn listeners(list: &[Listen]) -> Value {
    let mut list: Vec<&Listen> = list.iter().collect();
    list.dedup_by(|a, b| a.host == b.host && a.addr.port() == b.addr.port());
    list.into_iter().map(listener).collect()
}

fn listener(listen: &Listen) -> Value {
    let mut entry = json!({
        "ip": listen.host,
        "port": listen.addr.port(),
        "listener": listen.listener(),
        "ssl": listen.ssl,
        "http2": listen.http2,
        "proxy_protocol": listen.proxy_protocol,
        "deferred": listen.deferred,
        "bind": listen.bind,
        "reuseport": listen.reuseport,
    });
    if let (Some(backlog), Value::Object(map)) = (listen.backlog, &mut entry) {
        map.insert(format!("backlog={backlog}"), true.into());
    }
    entry
}
