//! The demo over TLS: the embedded upstream that demands a client certificate, the plugin that shows one of two,
//! and every curl command of the README.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::certs::{Ca, Key, Kind, Leaf};
use crate::support::tls_upstream::Options;
use crate::support::{Response, Setup, TlsClient, TlsUpstream, with};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(file: &str) -> String {
    std::fs::read_to_string(format!("{ROOT}/{file}")).unwrap()
}
use crate::support::demo::Demo;

/// What the command's client certificate makes of the TLS upstream's answer.
fn openssl_asks(demo: &Demo, more: &[&str]) -> String {
    use std::io::Write as _;
    let mut child = Command::new("openssl")
        .args([
            "s_client",
            "-connect",
            &format!("127.0.0.1:{}", demo.tls),
            "-ign_eof",
            "-quiet",
        ])
        .args([
            "-servername",
            "localhost",
            "-verify_return_error",
            "-verify_hostname",
            "localhost",
        ])
        .args(["-CAfile", &demo.material("ca.crt").display().to_string()])
        .args(more)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let request = b"GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let _ = child.stdin.take().unwrap().write_all(request);
    let out = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned()
}

#[test]
fn c08_the_tls_upstream_demands_a_certificate() {
    let demo = Demo::start();
    for name in ["alice", "bob"] {
        let file = |kind: &str| demo.material(&format!("{name}.{kind}")).display().to_string();
        let said = openssl_asks(&demo, &["-cert", &file("crt"), "-key", &file("key")]);
        let body = said.split("\r\n\r\n").nth(1).unwrap_or_else(|| panic!("{said}"));
        let seen: Value = serde_json::Deserializer::from_str(body)
            .into_iter()
            .next()
            .unwrap()
            .unwrap();
        assert_eq!(seen["client"], json!(format!("/CN={name}")));
        assert_eq!(
            (&seen["server_name"], &seen["port"]),
            (&json!("localhost"), &json!(demo.tls))
        );
        assert_eq!(
            (&seen["tls"], &seen["resumed"]),
            (&json!("TLSv1.3"), &json!(false))
        );
        let digest = crate::support::certs::keys::openssl(
            &["x509", "-in", &file("crt"), "-noout", "-fingerprint", "-sha256"],
            b"",
        );
        let digits = String::from_utf8(digest)
            .unwrap()
            .trim()
            .replace(':', "")
            .to_lowercase();
        assert!(
            digits.ends_with(seen["client_fingerprint"].as_str().unwrap()),
            "{digits}"
        );
    }
    let said = openssl_asks(&demo, &[]);
    assert!(
        said.contains("certificate required") && !said.contains("\"client\""),
        "{said}"
    );
    let mut stranger = TlsClient::new()
        .showing(
            &crate::support::certs::Ca::new("Stranger").issue(&crate::support::certs::Leaf::named("alice")),
        )
        .connect(demo.tls, "localhost");
    stranger.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(stranger.try_answer(false).is_none());
}

/// A `$ curl` of the README: its method, target and headers, and the lines it is said to answer.
#[derive(Debug)]
struct Shown {
    command: String,
    target: String,
    headers: Vec<(String, String)>,
    lines: Vec<String>,
}

/// All of them that go to the gateway's proxy port.
fn shown(readme: &str) -> Vec<Shown> {
    let mut all: Vec<Shown> = Vec::new();
    let mut open = false;
    for line in readme.lines() {
        let Some(text) = line.strip_prefix("    ") else {
            open = false;
            continue;
        };
        if let Some(command) = text.strip_prefix("$ ") {
            open = command.starts_with("curl ") && command.contains("http://127.0.0.1:8000/");
            if open {
                all.push(Shown::of(command));
            }
        } else if open {
            all.last_mut().unwrap().lines.push(text.to_owned());
        }
    }
    all
}

impl Shown {
    fn of(command: &str) -> Self {
        let mut words = words(command).into_iter().skip(1);
        let (mut target, mut headers) = (String::new(), Vec::new());
        while let Some(word) = words.next() {
            match word.as_str() {
                "-H" => {
                    let header = words.next().unwrap();
                    let (name, value) = header.split_once(": ").unwrap();
                    headers.push((name.to_owned(), value.to_owned()));
                }
                "-i" => {}
                url => target = url.strip_prefix("http://127.0.0.1:8000").unwrap().to_owned(),
            }
        }
        headers.push(("User-Agent".into(), "curl/7.88.1".into()));
        headers.push(("Accept".into(), "*/*".into()));
        Self {
            command: command.to_owned(),
            target,
            headers,
            lines: Vec::new(),
        }
    }

    /// That the answer has the lines, in their order; `...` is anything between.
    fn check(&self, demo: &Demo, answer: &Response) {
        let mut text = answer.text();
        for (port, public) in [(demo.one, "9001"), (demo.two, "9002"), (demo.tls, "9443")] {
            text = text.replace(&port.to_string(), public);
        }
        let status = format!("HTTP/1.1 {} ", answer.status);
        let mut rest = text.lines();
        for line in &self.lines {
            if line.trim() == "..." {
                continue;
            }
            // what differs from one request to the next
            let varies = line.contains("X-Kong-Request-Id") || line.contains("client_fingerprint");
            let wanted = if varies {
                line.split(", ").next().unwrap().split(": ").next().unwrap()
            } else {
                line
            };
            if line.starts_with("HTTP/1.1 ") {
                assert!(
                    line.starts_with(&status),
                    "{}\n{status}, not {line}",
                    self.command
                );
            } else {
                let found = rest.any(|l| {
                    if varies {
                        l.starts_with(wanted)
                    } else {
                        l == wanted
                    }
                });
                assert!(found, "{}\nnot there: {line}\nin: {text}", self.command);
            }
        }
    }
}

/// What the README shows of error log lines, from their first words on.
fn readme_log_lines(readme: &str) -> impl Iterator<Item = &str> {
    let lines = readme
        .lines()
        .filter_map(|l| l.strip_prefix("    ... [error] ... "));
    lines.map(|l| l.trim_end_matches("...").trim_end())
}

/// A command's words; quotes are single.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (i, part) in command.split('\'').enumerate() {
        if i % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

#[test]
fn c08_the_readme_s_commands_answer_what_it_says() {
    let demo = Demo::start();
    let readme = read("README.md");
    let shown = shown(&readme);
    let of = |text: &str| shown.iter().filter(|s| s.command.contains(text)).count();
    assert!(of("x-identity: alice") > 0 && of("x-identity: bob") > 0 && of("x-trust: ") > 1);
    assert!(of("x-target") > 0 && of("x-region") > 0);
    for command in &shown {
        assert!(!command.lines.is_empty(), "{} shows nothing", command.command);
        let pairs = command.headers.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        let headers: Vec<_> = pairs.collect();
        let answer = demo.gateway.get(&command.target, &headers);
        command.check(&demo, &answer);
    }
    // the log says why, as the README shows it
    let lines: Vec<&str> = readme_log_lines(&readme).collect();
    assert_eq!(lines.len(), 2);
    for line in lines {
        demo.gateway.logged(line);
    }
}

#[test]
fn c08_the_plugin_says_what_is_wrong_and_no_secret() {
    let ca = Ca::new("Root");
    let upstream = TlsUpstream::start(&Options::new(&ca.issue(&Leaf::named("127.0.0.1"))).demanding());
    let good = ca.issue(&Leaf::named("good"));
    let other = Key::of(Kind::P256);
    let mut config = crate::support::service(upstream.port);
    config["services"][0]["protocol"] = json!("https");
    let conf = json!({
        "certificates": {
            "good": good.pem(), "mismatched": good.pem(), "junk": "junk", "cut": good.pem(), "keyless": good.pem(),
        },
        "keys": {
            "good": good.key_pem(), "mismatched": other.pkcs8_pem(), "junk": good.key_pem(),
            "cut": &good.key_pem()[..80],
        },
        "trust": { "ca": ca.pem(), "junk": "junk" },
    });
    let gateway = Setup::new(&with(config, "client-identity", conf))
        .set("moongate_lua_dir", &format!("{ROOT}/lua"))
        .enable("client-identity")
        .start();
    let says = |headers: &[(&str, &str)], status: u16| gateway.get("/", headers).is(status).json();
    let seen = says(&[("x-identity", "good"), ("x-trust", "ca")], 200);
    assert_eq!(seen["client"]["fingerprint"], good.fingerprint());
    for (name, what) in [
        ("mismatched", "identity"),
        ("junk", "certificate"),
        ("cut", "key"),
    ] {
        let said = says(&[("x-identity", name)], 500);
        assert_eq!(said["message"], format!("could not use the {what} of {name}"));
        gateway.logged(&format!("could not use the {what} of {name}: "));
    }
    let said = says(&[("x-trust", "junk")], 500);
    assert_eq!(said["message"], "could not use the authority of junk");
    for name in ["keyless", "nobody"] {
        let said = says(&[("x-identity", name)], 400);
        assert_eq!(said["message"], format!("no identity is called {name}"));
    }
    let secrets = [good.key_pem(), other.pkcs8_pem()];
    let output = gateway.output();
    for line in secrets
        .iter()
        .flat_map(|pem| pem.lines())
        .filter(|l| l.len() == 64)
    {
        assert!(!output.contains(&line[..32]), "a key is in the log");
    }
    assert_eq!(upstream.requests(), 1);
}
