//! Other people's TLS servers: Debian's nginx and OpenSSL's `s_server`.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::certs::{Ca, Cert};
use super::{TempDir, eventually, free_port};

/// A server in a process of its own; it ends with its value.
pub struct Peer {
    pub port: u16,
    child: Child,
    dir: TempDir,
}

impl Peer {
    /// nginx as a TLS upstream with one worker. `verify` is what `ssl_verify_client` says (`on`, `off`, `optional`,
    /// `optional_no_ca`) against `ca`; `more` are further directives of the server.
    ///
    /// It answers with JSON: `client` (the subject), `verify`, `fingerprint` (SHA-1), `sni`, `version`, `cipher`,
    /// `resumed`, `connection`, `request`. None, after saying so, where there is no nginx and
    /// `MOONGATE_NO_NGINX=1` allows that.
    #[track_caller]
    pub fn nginx(cert: &Cert, ca: &Ca, verify: &str, more: &str) -> Option<Self> {
        if !there("nginx", "nginx-light") {
            return None;
        }
        let (dir, port) = (TempDir::new(), free_port());
        dir.write("cert.pem", &cert.chain_pem());
        dir.write("key.pem", &cert.key_pem());
        dir.write("ca.pem", &ca.pem());
        let root = dir.path().display().to_string();
        let conf = format!(
            r#"worker_processes 1; daemon off; master_process off;
             pid {root}/nginx.pid; error_log {root}/error.log info;
             events {{ worker_connections 1024; }}
             http {{
               access_log off; client_body_temp_path {root}/t1; proxy_temp_path {root}/t2;
               fastcgi_temp_path {root}/t3; uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;
               map $ssl_session_reused $resumed {{ r true; default false; }}
               server {{
                 listen 127.0.0.1:{port} ssl;
                 ssl_certificate {root}/cert.pem; ssl_certificate_key {root}/key.pem;
                 ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:tls:1m;
                 ssl_client_certificate {root}/ca.pem; ssl_verify_client {verify}; ssl_verify_depth 4;
                 keepalive_requests 1000000; default_type application/json;
                 {more}
                 location / {{ return 200 '{{"client":"$ssl_client_s_dn","verify":"$ssl_client_verify",
                   "fingerprint":"$ssl_client_fingerprint","sni":"$ssl_server_name","version":"$ssl_protocol",
                   "cipher":"$ssl_cipher","resumed":$resumed,"connection":$connection,
                   "request":$connection_requests}}'; }}
               }}
             }}"#
        );
        let file = dir.write("nginx.conf", &conf);
        let mut command = Command::new("nginx");
        command
            .args(["-p", &root, "-e", &format!("{root}/error.log"), "-c"])
            .arg(&file);
        Some(Self::start(command, port, dir))
    }

    /// `openssl s_server -www`, which answers a GET with a page about the session, the client's certificate included;
    /// it closes after each answer. `more` are further arguments, such as `-Verify 4` or `-tls1_2`.
    #[track_caller]
    pub fn s_server(cert: &Cert, ca: &Ca, more: &[&str]) -> Option<Self> {
        Self::openssl(cert, ca, &[&["-www"], more].concat(), None)
    }

    /// `openssl s_server -HTTP`: serves the file `hello`, whose text is `content`, as `/hello`.
    #[track_caller]
    pub fn s_server_files(cert: &Cert, ca: &Ca, content: &str, more: &[&str]) -> Option<Self> {
        Self::openssl(cert, ca, &[&["-HTTP"], more].concat(), Some(content))
    }

    #[track_caller]
    fn openssl(cert: &Cert, ca: &Ca, more: &[&str], hello: Option<&str>) -> Option<Self> {
        if !there("openssl", "openssl") {
            return None;
        }
        let (dir, port) = (TempDir::new(), free_port());
        dir.write("cert.pem", &cert.pem());
        dir.write("chain.pem", &cert.above_pem());
        dir.write("key.pem", &cert.key_pem());
        dir.write("ca.pem", &ca.pem());
        if let Some(content) = hello {
            // -HTTP sends what the file says, head included
            let head = format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n", content.len());
            dir.write("hello", &(head + content));
        }
        let mut command = Command::new("openssl");
        command
            .args(["s_server", "-accept", &format!("127.0.0.1:{port}"), "-quiet"])
            .args(["-cert", "cert.pem", "-key", "key.pem"])
            .args(if cert.above.is_empty() {
                &[][..]
            } else {
                &["-cert_chain", "chain.pem"]
            })
            .args(["-CAfile", "ca.pem", "-no_dhe"])
            .args(more)
            .current_dir(dir.path());
        Some(Self::start(command, port, dir))
    }

    #[track_caller]
    fn start(mut command: Command, port: u16, dir: TempDir) -> Self {
        let log = |name: &str| std::fs::File::create(dir.path().join(name)).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(log("stdout"))
            .stderr(log("stderr"))
            .spawn()
            .unwrap();
        let mut peer = Self { port, child, dir };
        let up = eventually(Duration::from_secs(10), || {
            peer.child.try_wait().unwrap().is_some() || listening(port)
        });
        assert!(
            up && peer.child.try_wait().unwrap().is_none(),
            "no peer: {}",
            peer.said()
        );
        peer
    }

    /// Everything it wrote.
    pub fn said(&self) -> String {
        ["stdout", "stderr", "error.log"]
            .iter()
            .map(|name| std::fs::read(self.dir.path().join(name)).unwrap_or_default())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .collect()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether somebody listens, found out without connecting: `s_server` serves one connection at a time.
fn listening(port: u16) -> bool {
    let text = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let wanted = format!(":{port:04X} 00000000:0000 0A");
    text.contains(&wanted)
}

/// Whether a command is there. Where it isn't, the test fails unless `MOONGATE_NO_NGINX=1` allows to go without.
#[track_caller]
fn there(command: &str, package: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    if path.split(':').any(|dir| Path::new(dir).join(command).exists()) {
        return true;
    }
    let allowed = std::env::var("MOONGATE_NO_NGINX").is_ok_and(|v| v == "1");
    assert!(
        allowed,
        "{command} is missing: apt-get install {package}, or set MOONGATE_NO_NGINX=1"
    );
    eprintln!("SKIPPED: {command} is missing");
    false
}
