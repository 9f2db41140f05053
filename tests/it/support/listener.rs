//! A gateway that speaks TLS to its clients.

use std::process::Command;

use serde_json::{Value, json};

use super::certs::{Ca, Cert, Leaf};
use super::{Gateway, Setup, free_port};

/// A plugin whose certificate phase is the Lua in its configuration's `tag`, and whose access phase answers with what
/// the Lua in the header `x-access` returns, as JSON.
pub const PROBE: &str = r#"
local cjson = require "cjson.safe"
local P = { PRIORITY = 500, VERSION = "1.0.0" }
local compiled = {}
local function run(src, name, ...)
  local f = compiled[src]
  if not f then
    f = assert(loadstring("local ssl, hello, conf = require 'ngx.ssl', require 'ngx.ssl.clienthello', ...; " .. src,
                          "=" .. name))
    compiled[src] = f
  end
  return f(...)
end
function P:client_hello(conf)
  local src = conf.map and conf.map.client_hello
  if src then run(src, "client_hello", conf) end
end
function P:certificate(conf)
  local src = conf.map and conf.map.certificate
  if src then run(src, "certificate", conf) end
end
function P:access(conf)
  local src = ngx.var.http_x_access
  if src then return kong.response.exit(200, { run(src, "access", conf) }) end
end
function P:log(conf)
  local src = ngx.var.http_x_log
  if src then run(src, "log", conf) end
end
return P
"#;

/// A gateway with one plain and one TLS listener.
pub struct Secured {
    pub gateway: Gateway,
    pub tls: u16,
}

/// A configuration of one service, with the probe; `phases` are its handlers' Lua.
pub fn configuration(upstream: u16, phases: Value, more: Value) -> Value {
    let mut config = super::with(super::service(upstream), "tlsprobe", json!({ "map": phases }));
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    config
}

/// A certificate entity with its names.
pub fn entity(id: u32, cert: &Cert, names: &[&str]) -> (Value, Vec<Value>) {
    let id = format!("00000000-0000-4000-8000-{id:012}");
    let snis = names
        .iter()
        .map(|n| json!({ "name": n, "certificate": { "id": id } }));
    let entity = json!({ "id": id, "cert": cert.chain_pem(), "key": cert.key_pem() });
    (entity, snis.collect())
}

/// `certificates` and `snis` of a configuration.
pub fn entities(list: &[(&Cert, &[&str])]) -> Value {
    let (mut certificates, mut snis) = (Vec::new(), Vec::new());
    for (i, (cert, names)) in list.iter().enumerate() {
        let (one, its) = entity(i as u32 + 1, cert, names);
        certificates.push(one);
        snis.extend(its);
    }
    json!({ "certificates": certificates, "snis": snis })
}

/// Sets up both listeners and a default certificate.
pub fn setup(config: &Value, default: &[&Cert]) -> (Setup, u16) {
    let (plain, tls) = (free_port(), free_port());
    let setup = Setup::new(config)
        .plugin("tlsprobe", PROBE)
        .port(plain)
        .set(
            "proxy_listen",
            &format!("127.0.0.1:{plain}, 127.0.0.1:{tls} http2 ssl"),
        )
        .set("log_level", "info");
    let dir = setup.dir();
    let (mut certs, mut keys) = (Vec::new(), Vec::new());
    for (i, cert) in default.iter().enumerate() {
        let write = |name: String, text: String| {
            let path = dir.join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        certs.push(write(format!("default{i}.crt"), cert.chain_pem()));
        keys.push(write(format!("default{i}.key"), cert.key_pem()));
    }
    if certs.is_empty() {
        return (setup, tls);
    }
    let setup = setup.set("ssl_cert", &certs.join(","));
    (setup.set("ssl_cert_key", &keys.join(",")), tls)
}

pub fn start(config: &Value, default: &[&Cert]) -> Secured {
    let (setup, tls) = setup(config, default);
    Secured {
        gateway: setup.start(),
        tls,
    }
}

/// A default certificate that says so.
pub fn default_cert() -> Cert {
    Ca::new("Default root").issue(&Leaf::named("default.test"))
}

/// Runs `openssl s_client` against a port with nothing to say; what it printed.
pub fn s_client(port: u16, args: &[&str]) -> String {
    let out = Command::new("openssl")
        .args(["s_client", "-connect", &format!("127.0.0.1:{port}")])
        .args(args)
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let all = [out.stdout, out.stderr].concat();
    String::from_utf8_lossy(&all).into_owned()
}
