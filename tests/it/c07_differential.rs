//! The same clients at Debian's nginx with its Lua module and at the gateway: the same `ssl_*` variables.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::certs::{Ca, Cert, Kind, Leaf};
use crate::support::listener::{configuration, default_cert, start};
use crate::support::{Origin, TempDir, TlsClient, eventually, free_port};

const MODULE: &str = "/usr/lib/nginx/modules/ngx_http_lua_module.so";

/// All variables that both have.
const VARIABLES: [&str; 20] = [
    "ssl_client_verify",
    "ssl_client_s_dn",
    "ssl_client_i_dn",
    "ssl_client_s_dn_legacy",
    "ssl_client_i_dn_legacy",
    "ssl_client_serial",
    "ssl_client_fingerprint",
    "ssl_client_v_start",
    "ssl_client_v_end",
    "ssl_client_v_remain",
    "ssl_client_raw_cert",
    "ssl_client_cert",
    "ssl_client_escaped_cert",
    "ssl_protocol",
    "ssl_cipher",
    "ssl_ciphers",
    "ssl_curve",
    "ssl_curves",
    "ssl_server_name",
    "ssl_session_reused",
];

struct Nginx {
    child: Child,
    port: u16,
    dir: TempDir,
}

impl Nginx {
    fn start(cert: &Cert, phase: &str) -> Self {
        let (dir, port) = (TempDir::new(), free_port());
        dir.write("cert.pem", &cert.chain_pem());
        dir.write("key.pem", &cert.key_pem());
        dir.write("phase.lua", phase);
        let root = dir.path().display();
        let conf = format!(
            r#"load_module /usr/lib/nginx/modules/ndk_http_module.so;
             load_module {MODULE};
             worker_processes 1; daemon off; master_process off;
             pid {root}/nginx.pid; error_log {root}/error.log info;
             events {{ worker_connections 64; }}
             http {{
               access_log off; client_body_temp_path {root}/t1; proxy_temp_path {root}/t2;
               fastcgi_temp_path {root}/t3; uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;
               server {{
                 listen 127.0.0.1:{port} ssl; ssl_certificate {root}/cert.pem; ssl_certificate_key {root}/key.pem;
                 ssl_protocols TLSv1.2 TLSv1.3; ssl_session_tickets off;
                 ssl_certificate_by_lua_file {root}/phase.lua;
                 location / {{ content_by_lua_block {{
                   local values = {{}}
                   for name in ngx.var.http_x_vars:gmatch("%S+") do values[#values + 1] = ngx.var[name] or false end
                   ngx.print(require("cjson").encode(values))
                 }} }}
               }}
             }}"#
        );
        let file = dir.write("nginx.conf", &conf);
        let child = Command::new("nginx")
            .args(["-p", &root.to_string(), "-e", &format!("{root}/error.log"), "-c"])
            .arg(&file)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let nginx = Self { child, port, dir };
        let up = eventually(Duration::from_secs(10), || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        assert!(up, "{}", nginx.errors());
        nginx
    }

    fn errors(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("error.log")).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Clients of all sorts; each with what it is.
fn clients(ca: &Ca, other: &Ca) -> Vec<(String, Cert)> {
    let (between, two) = (ca.below(1), ca.below(2));
    let elsewhere = other.below(1);
    let own = |cert: Cert| cert.without_chain();
    let with = |mut cert: Cert, more: &[&Ca]| {
        cert.above = more.iter().map(|ca| ca.cert.der.clone()).collect();
        cert
    };
    let good = ca.issue(&Leaf::named("good"));
    let mut all = vec![
        ("good".to_owned(), good.clone()),
        ("good with its root".into(), with(good.clone(), &[ca])),
        ("good with a stranger".into(), with(good, &[other])),
        ("deep".into(), between.issue(&Leaf::named("deep"))),
        ("deep alone".into(), own(between.issue(&Leaf::named("deep")))),
        ("deeper".into(), two.issue(&Leaf::named("deeper"))),
        ("foreign".into(), other.issue(&Leaf::named("foreign"))),
        (
            "foreign with its root".into(),
            with(other.issue(&Leaf::named("foreign")), &[other]),
        ),
        ("foreign and deep".into(), elsewhere.issue(&Leaf::named("far"))),
        ("its own".into(), Leaf::named("own").self_signed()),
        ("expired".into(), ca.issue(&Leaf::named("old").expired())),
        (
            "expired and foreign".into(),
            other.issue(&Leaf::named("old").expired()),
        ),
        ("not yet".into(), ca.issue(&Leaf::named("new").not_yet())),
        (
            "a server's".into(),
            ca.issue(&Leaf::named("server").for_servers()),
        ),
        (
            "a client's".into(),
            ca.issue(&Leaf::named("client").for_clients()),
        ),
        (
            "an odd name".into(),
            ca.issue(&Leaf::cn_only(" #a, b+c=\"d\\e\" <f>; Ü€ ")),
        ),
        ("version 1".into(), ca.issue(&Leaf::cn_only("one").v1())),
    ];
    for kind in Kind::ALL {
        let name = format!("{kind:?}");
        all.push((
            name.clone(),
            ca.issue(&Leaf::named(&name.to_lowercase()).kind(kind)),
        ));
    }
    all
}

#[test]
fn c07_clients_look_the_same_to_nginx_and_to_the_gateway() {
    if !Path::new(MODULE).exists() && std::env::var("MOONGATE_NO_NGINX").is_ok_and(|v| v == "1") {
        eprintln!("SKIPPED: nginx with its Lua module is missing");
        return;
    }
    let (ca, other) = (Ca::new("Client root"), Ca::new("Other root"));
    let phase = format!(
        "local ssl = require 'ngx.ssl'
         local root, other = [[{}]], [[{}]]
         local name = ssl.server_name()
         if name == 'none.test' then assert(ssl.verify_client(nil, 0))
         elseif name == 'two.test' then assert(ssl.verify_client(assert(ssl.parse_pem_cert(root .. other)), 0))
         elseif name == 'depth.test' then assert(ssl.verify_client(assert(ssl.parse_pem_cert(root)), 1))
         elseif name ~= 'open.test' then assert(ssl.verify_client(assert(ssl.parse_pem_cert(root)), 0)) end",
        ca.pem(),
        other.pem()
    );
    let (origin, cert) = (Origin::echo(), default_cert());
    let nginx = Nginx::start(&cert, &phase);
    let ours = start(
        &configuration(origin.port, json!({ "certificate": phase }), json!({})),
        &[&cert],
    );
    let vars = VARIABLES.join(" ");
    let lua = "local values = {} for name in ngx.var.http_x_vars:gmatch('%S+') do \
        values[#values + 1] = ngx.var[name] or false end return values";
    let ask = |client: &TlsClient, port: u16, name: &str| -> Value {
        let mut connection = match client.try_connect(port, name) {
            Ok(connection) => connection,
            Err(e) => return json!([e.to_string()]),
        };
        let headers = [("x-vars", vars.as_str()), ("x-access", lua)];
        let told = connection.ask("GET", "/", &headers, b"").is(200).json();
        if told[0].is_array() { told[0].clone() } else { told }
    };
    let (mut compared, mut different) = (0, Vec::new());
    for (what, cert) in clients(&ca, &other) {
        for name in ["a.test", "none.test", "two.test", "depth.test", "open.test"] {
            // with TLS 1.2, OpenSSL wants the client's curve among the groups that it offers
            if name == "two.test" && cert.key.kind == Kind::P521 {
                continue;
            }
            let version = if name == "two.test" {
                &rustls::version::TLS12
            } else {
                &rustls::version::TLS13
            };
            let client = TlsClient::versions(&[version]).showing(&cert).forgetful();
            let (theirs, mine) = (ask(&client, nginx.port, name), ask(&client, ours.tls, name));
            for (i, variable) in VARIABLES.iter().enumerate() {
                compared += 1;
                if theirs[i] != mine[i] {
                    different.push(format!(
                        "{what}, {name}, {variable}: {} but {}",
                        theirs[i], mine[i]
                    ));
                }
            }
        }
    }
    assert!(
        different.is_empty(),
        "{} of {compared}:\n{}",
        different.len(),
        different.join("\n")
    );
    assert!(compared > 2000);
}
