//! Those of Kong's own plugins that talk to servers of their own, as they are in a checkout of Kong that
//! `MOONGATE_KONG` names, with servers here; and those that want libraries of others, which are in the folder of
//! checkouts that `MOONGATE_LIBS` names.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::b08_credentials::basic;
use crate::d01_bundled::{Trial, folder, kong};
use crate::support::origin::Seen;
use crate::support::{Origin, Setup};

pub fn libraries() -> Option<PathBuf> {
    folder("MOONGATE_LIBS", "", "a folder with checkouts of Lua libraries")
}

/// A server that hands on the first bytes that each connection sends, up to a newline.
fn lines() -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (send, receive) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (mut text, mut piece) = (Vec::new(), [0; 65536]);
            while !text.contains(&b'\n') {
                let Ok(n @ 1..) = stream.read(&mut piece) else {
                    break;
                };
                text.extend_from_slice(&piece[..n]);
            }
            let _ = send.send(String::from_utf8_lossy(&text).into_owned());
        }
    });
    (port, receive)
}

#[test]
fn d01_tcp_log_and_syslog_tell_of_requests() {
    let Some(folder) = kong() else { return };
    let origin = Origin::echo();
    let (port, heard) = lines();
    let g = Trial::new(origin.port)
        .route(
            "log",
            &[
                ("tcp-log", json!({ "host": "127.0.0.1", "port": port, "custom_fields_by_lua": { "extra": "return 1 + 1" } })),
                ("syslog", json!({ "log_level": "debug" })),
            ],
        )
        .start(&folder, |s| s);
    g.get("log", "/told?x=1", &[("User-Agent", "teller")]).is(200);
    let line: Value = serde_json::from_str(&heard.recv_timeout(Duration::from_secs(10)).unwrap()).unwrap();
    assert_eq!(line["request"]["querystring"]["x"], "1");
    assert_eq!(line["request"]["headers"]["user-agent"], "teller");
    assert_eq!(line["route"]["name"], "log");
    assert_eq!(line["extra"], 2);
    assert!(!g.0.errors().contains("[error]"), "{}", g.0.errors());
}

/// Azure's port cannot be chosen: this one needs the right to listen on 80.
#[test]
fn d01_azure_functions_asks_the_function() {
    let Some(folder) = kong() else { return };
    let Ok(listener) = TcpListener::bind("127.80.80.80:80") else {
        eprintln!("LEFT OUT: no right to listen on port 80");
        return;
    };
    let (send, heard) = channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut text, mut piece) = (String::new(), [0; 65536]);
        while !text.ends_with("question") {
            let n = stream.read(&mut piece).unwrap();
            text.push_str(std::str::from_utf8(&piece[..n]).unwrap());
        }
        send.send(text).unwrap();
        let said = "HTTP/1.1 201 Created\r\nX-Said: by the function\r\nContent-Length: 6\r\n\r\nanswer";
        stream.write_all(said.as_bytes()).unwrap();
    });
    let origin = Origin::echo();
    let conf = json!({ "https": false, "appname": "app", "hostdomain": "functions.test", "functionname": "fn",
        "apikey": "the-key" });
    let g = Trial::new(origin.port)
        .route("azure", &[("azure-functions", conf)])
        .start(&folder, |s| {
            let hosts = s.dir().join("hosts");
            std::fs::write(&hosts, "127.80.80.80 app.functions.test\n").unwrap();
            s.set("dns_hostsfile", &hosts.display().to_string())
        });
    let r = g.send("POST", "azure", "/any?q=1", &[], "question").is(201);
    assert_eq!(
        (r.text().as_str(), r.header("x-said")),
        ("answer", Some("by the function"))
    );
    assert!(r.header("via").unwrap().contains("moongate/"));
    let asked = heard.recv_timeout(Duration::from_secs(5)).unwrap();
    assert!(asked.starts_with("POST /api/fn?q=1 HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("x-functions-key: the-key\r\n"), "{asked}");
    assert!(origin.seen().is_empty());
}

/// A directory that knows one password: LDAP's simple bind, as it is on the wire (RFC 4511).
fn directory() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut piece = [0; 4096];
                while let Ok(n @ 1..) = stream.read(&mut piece) {
                    let asked = &piece[..n];
                    // SEQUENCE { INTEGER id, [APPLICATION 0] { INTEGER 3, OCTET STRING dn, [0] password } }
                    assert_eq!(&asked[..3], &[0x30, n as u8 - 2, 2], "{asked:?}");
                    let id = &asked[2..4 + usize::from(asked[3])];
                    let good = asked.windows(20).any(|w| w == b"uid=bob,dc=ldap,dc=t")
                        && asked.ends_with(b"\x80\x04pass");
                    let said = if good { "" } else { "no" };
                    let result = [
                        &[0x0a, 1, if good { 0 } else { 49 }, 4, 0, 4, said.len() as u8][..],
                        said.as_bytes(),
                    ]
                    .concat();
                    let answer = [id, &[0x61, result.len() as u8], &result].concat();
                    let answer = [&[0x30, answer.len() as u8][..], &answer].concat();
                    stream.write_all(&answer).unwrap();
                }
            });
        }
    });
    port
}

#[test]
fn d01_ldap_auth_binds() {
    let Some(folder) = kong() else { return };
    let origin = Origin::echo();
    let conf = json!({ "ldap_host": "127.0.0.1", "ldap_port": directory(), "base_dn": "dc=ldap,dc=t", "attribute": "uid" });
    let g = Trial::new(origin.port)
        .route("ldap", &[("ldap-auth", conf)])
        .start(&folder, |s| s);
    let ask = |who: &str| {
        let credentials = basic(who).replace("Basic", "ldap");
        g.get("ldap", "/", &[("Authorization", &credentials)])
    };
    let r = g.get("ldap", "/", &[]).is(401);
    assert_eq!(r.header("www-authenticate"), Some("LDAP"));
    let r = ask("bob:pass").is(200);
    assert_eq!(r.seen("x-credential-identifier").as_deref(), Some("bob"));
    ask("bob:pass").is(200);
    ask("bob:wrong").is(401);
    ask("ann:pass").is(401);
    g.0.logged("The supplied credential is invalid.");
}

/// Puts libraries in front of the drop-in folder.
pub fn with_libraries(setup: Setup, root: &Path, names: &[&str]) -> Setup {
    let mut path = String::new();
    for name in names {
        let found = ["lib", "src", "lua"].map(|d| root.join(name).join(d));
        let dir = found
            .iter()
            .find(|d| d.is_dir())
            .expect(name)
            .display()
            .to_string();
        path += &format!("{dir}/?.lua;{dir}/?/init.lua;");
    }
    setup.set("lua_package_path", &path)
}

#[test]
fn d01_session_keeps_a_consumer() {
    let (Some(folder), Some(libs)) = (kong(), libraries()) else {
        return;
    };
    let origin = Origin::echo();
    let g = Trial::new(origin.port)
        .route(
            "session",
            &[
                ("key-auth", json!({ "anonymous": "nobody" })),
                (
                    "session",
                    json!({ "secret": "0123456789abcdef0123456789abcdef", "cookie_secure": false, "storage": "cookie" }),
                ),
            ],
        )
        .more(
            "consumers",
            json!([{ "username": "nobody" }, { "username": "bob", "keyauth_credentials": [{ "key": "kong" }] }]),
        )
        .start(&folder, |s| with_libraries(s, &libs, &["lua-resty-session"]));
    let r = g.get("session", "/", &[]).is(200);
    assert_eq!(r.seen("x-consumer-username").as_deref(), Some("nobody"));
    assert_eq!(r.header("set-cookie"), None);
    let r = g.get("session", "/", &[("apikey", "kong")]).is(200);
    let cookie = r
        .header("set-cookie")
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    assert!(cookie.starts_with("session="), "{cookie}");
    let r = g.get("session", "/", &[("Cookie", &cookie)]).is(200);
    assert_eq!(r.seen("x-consumer-username").as_deref(), Some("bob"));
    let forged = cookie.replace('A', "B");
    let r = g.get("session", "/", &[("Cookie", &forged)]).is(200);
    assert_eq!(r.seen("x-consumer-username").as_deref(), Some("nobody"));
    let r = g
        .send(
            "DELETE",
            "session",
            "/?session_logout=1",
            &[("Cookie", &cookie)],
            "",
        )
        .is(200);
    assert!(
        r.header("set-cookie").unwrap().contains("Max-Age=0"),
        "{}",
        r.head
    );
}

#[test]
fn d01_aws_lambda_invokes_a_function() {
    let (Some(folder), Some(libs)) = (kong(), libraries()) else {
        return;
    };
    let lambda = Origin::replying(|seen: &Seen| {
        let failed = seen.line().contains("/failing/");
        let body = if failed {
            r#"{"errorMessage":"no"}"#.to_owned()
        } else {
            json!({ "statusCode": 201, "headers": { "x-from": "lambda" }, "body": "made" }).to_string()
        };
        let mark = if failed {
            "X-Amz-Function-Error: Unhandled\r\n"
        } else {
            ""
        };
        let length = body.len();
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{mark}Content-Length: {length}\r\n\r\n{body}").into()
    });
    let origin = Origin::echo();
    let conf = |name: &str, more: Value| {
        let mut conf = json!({ "aws_key": "id", "aws_secret": "secret", "aws_region": "us-east-1", "host": "localhost",
            "port": lambda.port, "disable_https": true, "function_name": name });
        conf.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        conf
    };
    let g = Trial::new(origin.port)
        .route("plain", &[("aws-lambda", conf("fn", json!({})))])
        .route(
            "proxied",
            &[(
                "aws-lambda",
                conf(
                    "fn",
                    json!({ "is_proxy_integration": true, "forward_request_method": true,
                "forward_request_headers": true, "forward_request_body": true }),
                ),
            )],
        )
        .route(
            "failing",
            &[("aws-lambda", conf("failing", json!({ "unhandled_status": 412 })))],
        )
        .start(&folder, |s| {
            with_libraries(s, &libs, &["lua-resty-aws", "lua-resty-luasocket", "Penlight"])
                .var("AWS_EC2_METADATA_DISABLED", "true")
                .var("AWS_REGION", "us-east-1")
        });
    let r = g.get("plain", "/?key1=a&key2=b", &[]).is(200);
    assert_eq!(r.json()["statusCode"], 201);
    let asked = lambda.last();
    // lua-resty-http writes an empty query as "?"
    let line = asked.line().replace("? ", " ");
    assert_eq!(line, "POST /2015-03-31/functions/fn/invocations HTTP/1.1");
    let signed = asked.header("authorization").unwrap();
    assert!(signed.starts_with("AWS4-HMAC-SHA256 Credential=id/"), "{signed}");
    assert_eq!(asked.header("x-amz-invocation-type"), Some("RequestResponse"));
    assert_eq!(
        serde_json::from_slice::<Value>(&asked.body).unwrap(),
        json!({ "key1": "a", "key2": "b" })
    );
    let headers = [("Content-Type", "text/plain"), ("x-mine", "1")];
    let r = g.send("POST", "proxied", "/p", &headers, "text").is(201);
    assert_eq!((r.text().as_str(), r.header("x-from")), ("made", Some("lambda")));
    let told: Value = serde_json::from_slice(&lambda.last().body).unwrap();
    assert_eq!(told["request_method"], "POST");
    assert_eq!(told["request_headers"]["x-mine"], "1");
    assert_eq!(told["request_body"], "text");
    let r = g.get("failing", "/", &[]).is(412);
    assert_eq!(r.json()["errorMessage"], "no");
    assert!(origin.seen().is_empty());
}

/// Copies files of Kong's tree into the drop-in folder, where they keep their names.
fn dropped(mut setup: Setup, plugins: &Path, below: &str) -> Setup {
    let root = plugins.parent().unwrap();
    let path = root.join(below);
    let mut files = vec![path.clone()];
    if path.is_dir() {
        files = std::fs::read_dir(&path)
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
    }
    for file in files {
        let name = file.strip_prefix(root).unwrap().display().to_string();
        setup = setup.lua(&format!("kong/{name}"), &std::fs::read_to_string(&file).unwrap());
    }
    setup
}

#[test]
fn d01_ai_plugins_talk_to_a_model() {
    let (Some(folder), Some(libs)) = (kong(), libraries()) else {
        return;
    };
    // a model that answers in capitals
    let model = Origin::replying(|seen: &Seen| {
        let asked: Value = serde_json::from_slice(&seen.body).unwrap();
        let last = asked["messages"].as_array().unwrap().last().unwrap();
        let said = last["content"].as_str().unwrap().to_uppercase();
        let body = json!({
            "id": "1", "object": "chat.completion", "created": 1, "model": asked["model"],
            "choices": [{ "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": said } }],
            "usage": { "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5 },
        })
        .to_string();
        let length = body.len();
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
            .into()
    });
    let origin = Origin::echo();
    let url = format!("http://127.0.0.1:{}/v1/chat/completions", model.port);
    let llm = json!({
        "route_type": "llm/v1/chat", "auth": { "header_name": "Authorization", "header_value": "Bearer the-key" },
        "model": { "provider": "openai", "name": "moon-1", "options": { "upstream_url": url } },
    });
    let by_prompt = json!({ "prompt": "Write it in capitals.", "llm": llm });
    let trial = Trial::new(origin.port)
        .route("proxy", &[("ai-proxy", llm.clone())])
        .route("request", &[("ai-request-transformer", by_prompt.clone())])
        .route("response", &[("ai-response-transformer", by_prompt)]);
    let g = trial.start(&folder, |s| {
        let parts = [
            "llm/drivers",
            "llm/adapters",
            "llm/plugin/shared-filters",
            "tools/aws_stream.lua",
        ];
        let s = parts.iter().fold(s, |s, below| dropped(s, &folder, below));
        let names = [
            "lua-resty-aws",
            "lua-resty-gcp",
            "lua-resty-luasocket",
            "lua-resty-jwt",
            "lua-resty-hmac",
            "Penlight",
        ];
        with_libraries(s, &libs, &names).var("AWS_REGION", "us-east-1")
    });
    let chat = json!({ "messages": [{ "role": "user", "content": "hello moon" }] });
    let r = g.post("proxy", &chat).is(200);
    assert_eq!(r.json()["choices"][0]["message"]["content"], "HELLO MOON");
    assert_eq!(r.header("x-kong-llm-model"), Some("openai/moon-1"));
    let asked = model.last();
    assert_eq!(asked.line(), "POST /v1/chat/completions HTTP/1.1");
    assert_eq!(asked.header("authorization"), Some("Bearer the-key"));
    assert_eq!(
        serde_json::from_slice::<Value>(&asked.body).unwrap()["model"],
        "moon-1"
    );
    g.post("proxy", &json!({ "prompt": "x" })).is(400);

    let r = g
        .send("POST", "request", "/", &[("Content-Type", "text/plain")], "quiet")
        .is(200);
    assert_eq!(r.json()["body"], "QUIET");
    let told: Value = serde_json::from_slice(&model.last().body).unwrap();
    assert_eq!(
        told["messages"][0],
        json!({ "role": "system", "content": "Write it in capitals." })
    );
    let r = g.get("response", "/some/where", &[]).is(200);
    assert!(r.text().contains("\"PATH\":\"/SOME/WHERE\""), "{}", r.text());
}
