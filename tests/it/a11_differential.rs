//! The same Lua chunks on Debian's nginx with its Lua module and on the gateway: the same answers.
//!
//! A chunk lies in `tests/differential/`; its first lines may say what request it wants:
//! `-- request: METHOD TARGET`, `-- version: 1.0`, `-- header: NAME: VALUE`, `-- body: TEXT`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::support::{Client, Setup, TempDir, eventually, free_port, service, with};

const DIR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/differential");

/// nginx with the Lua module, running every chunk as content.
struct Nginx {
    child: Child,
    port: u16,
    dir: TempDir,
}

impl Nginx {
    fn start() -> Self {
        let module = "/usr/lib/nginx/modules/ngx_http_lua_module.so";
        assert!(
            Path::new(module).exists(),
            "nginx with its Lua module is missing: apt-get install nginx-light libnginx-mod-http-lua lua-cjson, \
             or set MOONGATE_NO_NGINX=1"
        );
        let (dir, port) = (TempDir::new(), free_port());
        let root = dir.path().display();
        let conf = format!(
            "load_module /usr/lib/nginx/modules/ndk_http_module.so;
             load_module {module};
             worker_processes 1; daemon off; master_process off;
             pid {root}/nginx.pid; error_log {root}/error.log notice;
             events {{ worker_connections 64; }}
             http {{ underscores_in_headers on;
               access_log off; client_body_temp_path {root}/t1; proxy_temp_path {root}/t2;
               fastcgi_temp_path {root}/t3; uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;
               lua_shared_dict differential 1m;
               server {{ listen 127.0.0.1:{port}; location / {{
                 default_type text/plain; content_by_lua_file {DIR}/$http_x_chunk.lua;
               }} }}
             }}"
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

fn chunks() -> Vec<PathBuf> {
    let files = std::fs::read_dir(DIR).unwrap().map(|e| e.unwrap().path());
    let mut found: Vec<PathBuf> = files
        .filter(|p| p.extension().is_some_and(|e| e == "lua"))
        .collect();
    found.sort();
    found
}

/// Peers that both sides talk to, a port for each: TCP and UDP that say everything back, TCP that closes after a byte.
struct Peers {
    echo: u16,
    udp: u16,
    shut: u16,
}

impl Peers {
    fn start() -> Self {
        use std::io::{Read as _, Write as _};
        let listen = |serve: fn(std::net::TcpStream)| {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    std::thread::spawn(move || serve(stream));
                }
            });
            port
        };
        let echo = listen(|mut stream| {
            let mut buffer = [0; 65536];
            while let Ok(n @ 1..) = stream.read(&mut buffer) {
                if stream.write_all(&buffer[..n]).is_err() {
                    return;
                }
            }
        });
        let shut = listen(|mut stream| {
            let mut buffer = [0; 4096];
            if let Ok(n @ 1..) = stream.read(&mut buffer) {
                let _ = stream.write_all(&buffer[..n]);
            }
        });
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let udp = socket.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let mut buffer = [0; 65536];
            while let Ok((n, from)) = socket.recv_from(&mut buffer) {
                let _ = socket.send_to(&buffer[..n], from);
            }
        });
        Self { echo, udp, shut }
    }
}

/// The request that a chunk asks for.
fn request(chunk: &Path, peers: &Peers) -> String {
    let text = std::fs::read_to_string(chunk).unwrap();
    let name = chunk.file_stem().unwrap().to_str().unwrap();
    let (mut line, mut headers, mut body) = ("GET /".to_owned(), String::new(), String::new());
    let mut version = "1.1".to_owned();
    for l in text.lines().take_while(|l| l.starts_with("-- ")) {
        match l[3..]
            .split_once(": ")
            .unwrap_or((l[3..].trim_end_matches(':'), ""))
        {
            ("request", v) => line = v.into(),
            ("version", v) => version = v.into(),
            ("header", v) => headers += &format!("{v}\r\n"),
            ("body", v) => body = v.into(),
            _ => {}
        }
    }
    if !headers.contains("Host:") {
        headers += "Host: test.local\r\n";
    }
    if !body.is_empty() {
        headers += &format!("Content-Length: {}\r\n", body.len());
    }
    if name.starts_with("socket") || name == "udp" {
        let Peers { echo, udp, shut } = peers;
        headers += &format!("X-Echo: {echo}\r\nX-Udp: {udp}\r\nX-Shut: {shut}\r\n");
    }
    format!("{line} HTTP/{version}\r\n{headers}X-Chunk: {name}\r\nConnection: close\r\n\r\n{body}")
}

/// Status, the headers a chunk may have set, body.
fn answer(port: u16, request: &str) -> String {
    let mut client = Client::connect(port);
    client.send(request);
    let Some(r) = client.try_answer(request.starts_with("HEAD")) else {
        return "no answer".into();
    };
    let mut headers: Vec<String> = r
        .headers
        .iter()
        .map(|(n, v)| (n.to_lowercase(), format!("{n}: {v}")))
        .filter(|(n, _)| {
            n == "content-type" && r.status != 204
                || n == "connection"
                || n.starts_with("x-") && !n.starts_with("x-kong")
        })
        .map(|(_, line)| line)
        .collect();
    headers.sort();
    format!("{}\n{}\n\n{}", r.status, headers.join("\n"), r.text())
}

const RUNNER: &str = "local P = { PRIORITY = 1, VERSION = '1.0.0' }
    function P:access(conf)
      ngx.ctx = {}
      ngx.header['Content-Type'] = 'text/plain'
      local chunk = assert(loadfile(conf.tag .. '/' .. ngx.var.http_x_chunk .. '.lua'))
      chunk()
    end
    return P";

#[test]
fn a11_differential_with_nginx_lua() {
    if std::env::var("MOONGATE_NO_NGINX").is_ok_and(|v| v == "1") {
        return;
    }
    let nginx = Nginx::start();
    let gateway = Setup::new(&with(service(1), "chunks", json!({ "tag": DIR })))
        .plugin("chunks", RUNNER)
        .set("nginx_http_lua_shared_dict", "differential 1m")
        .start();
    let peers = Peers::start();
    let all = chunks();
    assert!(all.len() >= 20, "where are the chunks?");
    let mut differing = Vec::new();
    for chunk in &all {
        let name = chunk.file_stem().unwrap().to_str().unwrap();
        let request = request(chunk, &peers);
        let (want, got) = (answer(nginx.port, &request), answer(gateway.port, &request));
        assert!(
            want.contains('\n') && !want.starts_with("500"),
            "{name} fails on nginx itself: {want}\n{}",
            nginx.errors()
        );
        if want != got {
            differing.push(format!("=== {name}\n{}", compare(&want, &got)));
        }
    }
    assert!(
        differing.is_empty(),
        "{} of {} chunks differ (- nginx, + gateway)\n{}",
        differing.len(),
        all.len(),
        differing.join("\n")
    );
}

/// The lines in which two texts differ.
fn compare(want: &str, got: &str) -> String {
    let (want, got): (Vec<&str>, Vec<&str>) = (want.lines().collect(), got.lines().collect());
    let mut out = String::new();
    for i in 0..want.len().max(got.len()) {
        let (w, g) = (want.get(i), got.get(i));
        if w != g {
            if let Some(w) = w {
                out += &format!("  {i}- {w}\n");
            }
            if let Some(g) = g {
                out += &format!("  {i}+ {g}\n");
            }
        }
    }
    out
}
