//! Kong's grpc-gateway and grpc-web as they are (`MOONGATE_KONG`), in front of a server that takes and gives gRPC's
//! messages over HTTP/1.1: HTTP/2 to upstreams is not there, what the plugins make of bodies is.

use serde_json::{Value, json};

use crate::d01_bundled::{Trial, kong};
use crate::support::origin::Seen;
use crate::support::{Origin, TempDir};

const PROTO: &str = r#"syntax = "proto3";
package shop;
import "google/api/annotations.proto";
import "google/protobuf/timestamp.proto";
service Desk {
  rpc Greet(Visit) returns (Answer) {
    option (google.api.http) = {
      get: "/v1/greet/{name}"
      additional_bindings { get: "/v1/deep/{name=**}" }
      body: "*"
    };
  }
  rpc Tell(Visit) returns (Answer) { option (google.api.http) = { post: "/v1/tell" body: "*" }; }
  rpc Ask(Visit) returns (Answer) { option (google.api.http) = { get: "/v1/ask/{name}" }; }
  rpc Lose(Visit) returns (Answer) { option (google.api.http) = { get: "/v1/lose/{name}" }; }
}
message Visit {
  string name = 1; bool loud = 2; Place from = 3; repeated int32 lucky = 4; google.protobuf.Timestamp at = 5;
}
message Place { string town = 1; }
message Answer { string said = 1; google.protobuf.Timestamp at = 2; }
"#;

/// One frame: the kind, the length, the message.
fn frame(kind: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[kind], &length[..], message].concat()
}

fn field(number: u8, text: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(text.len()).unwrap()], text].concat()
}

/// The message of a body of one frame.
fn message(body: &[u8]) -> &[u8] {
    assert_eq!(
        (body[0], body[1..5].to_vec()),
        (0, (body.len() as u32 - 5).to_be_bytes().to_vec())
    );
    &body[5..]
}

/// An answer of these frames in chunks, with trailers; `cut` is where the first chunk ends.
fn answer(frames: &[u8], cut: usize, status: &str) -> Vec<u8> {
    let mut out = b"HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTrailer: grpc-status\r\n\
        Transfer-Encoding: chunked\r\n\r\n"
        .to_vec();
    for piece in [&frames[..cut], &frames[cut..]].iter().filter(|p| !p.is_empty()) {
        out.extend(format!("{:x}\r\n", piece.len()).bytes());
        out.extend_from_slice(piece);
        out.extend(b"\r\n");
    }
    out.extend(format!("0\r\ngrpc-status: {status}\r\ngrpc-message: said so\r\n\r\n").bytes());
    out
}

/// Says "hi" and the message's first field, at 1970-01-01T00:00:05.
fn desk() -> Origin {
    Origin::replying(|seen: &Seen| {
        if seen.line().starts_with("POST /shop.Desk/Lose ") {
            return b"HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\ngrpc-status: 5\r\nContent-Length: 0\r\n\r\n".into();
        }
        let m = message(&seen.body);
        let name = &m[2..2 + usize::from(m[1])];
        let said = [b"hi ".as_slice(), name].concat();
        let frames = frame(0, &[field(1, &said), field(2, &[0x08, 5])].concat());
        answer(&frames, 7, "0")
    })
}

#[test]
fn d01_grpc_gateway_turns_json_into_messages() {
    let Some(folder) = kong() else { return };
    let dir = TempDir::new();
    let proto = dir.write("shop.proto", PROTO).display().to_string();
    let server = desk();
    let g = Trial::new(server.port)
        .route(
            "desk",
            &[
                ("grpc-gateway", json!({ "proto": proto })),
                // the plugin rewrites nginx's URI, which only grpc_pass sends; a service of "http" has Kong's own
                (
                    "post-function",
                    json!({ "access": ["kong.service.request.set_path(ngx.var.uri)"] }),
                ),
            ],
        )
        // whose files post-function takes
        .route("unused", &[("pre-function", json!({ "access": ["return"] }))])
        .route("bare", &[("grpc-gateway", json!({}))])
        .start(&folder, |s| s);

    let r = g
        .get("desk", "/v1/ask/ann?loud=true&from.town=Ulm&unknown=1", &[])
        .is(200);
    assert_eq!(r.header("content-type"), Some("application/json"));
    assert_eq!(r.header("access-control-allow-origin"), Some("*"));
    assert_eq!(r.json(), json!({ "said": "hi ann", "at": "1970-01-01T00:00:05" }));
    let seen = server.last();
    assert_eq!(seen.line(), "POST /shop.Desk/Ask HTTP/1.1");
    assert_eq!(seen.header("content-type"), Some("application/grpc"));
    assert_eq!(seen.header("te"), Some("trailers"));
    // fields in the order of the .proto file or of a table: each is there once
    let m = message(&seen.body);
    for part in [field(1, b"ann"), vec![0x10, 1], field(3, &field(1, b"Ulm"))] {
        assert!(m.windows(part.len()).any(|w| w == part), "{m:?} without {part:?}");
    }
    assert_eq!(m.len(), 5 + 2 + 7);

    g.get("desk", "/v1/deep/a/b", &[]).is(200);
    assert_eq!(message(&server.last().body), field(1, b"a/b"));

    let body = json!({ "name": "bob", "lucky": [3, 7], "at": "1970-01-01T00:00:09Z" });
    let r = g.send("POST", "desk", "/v1/tell", &[], &body.to_string()).is(200);
    assert_eq!(r.json()["said"], "hi bob");
    let seen = server.last();
    let m = message(&seen.body);
    for part in [field(4, &[3, 7]), vec![0x2a, 2, 0x08, 9]] {
        assert!(m.windows(part.len()).any(|w| w == part), "{m:?} without {part:?}");
    }

    assert_eq!(
        g.get("desk", "/v1/lose/ann", &[]).is(404).header("grpc-status"),
        Some("5")
    );
    let r = g.get("desk", "/nothing", &[]).is(400);
    let said = r#"failed to transcode .proto file Unknown path "/nothing""#;
    assert_eq!(r.text(), said);
    let r = g.send("POST", "desk", "/v1/tell", &[], "{not json").is(400);
    assert!(r.text().starts_with("decode json err: "), "{}", r.text());
    assert!(
        g.get("bare", "/v1/ask/x", &[])
            .is(400)
            .text()
            .contains("require a .proto file")
    );
    let r = g.send("OPTIONS", "desk", "/v1/ask/x", &[], "").is(200);
    assert_eq!(
        r.header("access-control-allow-methods"),
        Some("GET,POST,PATCH,DELETE")
    );
}

#[test]
fn d01_grpc_web_reframes_and_transcodes() {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    let Some(folder) = kong() else { return };
    let dir = TempDir::new();
    let proto = dir.write("shop.proto", PROTO).display().to_string();
    let server = desk();
    let g = Trial::new(server.port)
        .route(
            "desk",
            &[(
                "grpc-web",
                json!({ "proto": proto, "allow_origin_header": "shop.test" }),
            )],
        )
        .start(&folder, |s| s);
    let path = "/shop.Desk/Greet";
    let web = |kind: &str, body: &[u8]| {
        let headers = [("Host", "desk.test"), ("Content-Type", kind)];
        g.0.connect().ask("POST", path, &headers, body)
    };
    let asked = frame(0, &field(1, b"ann"));
    let said = frame(0, &[field(1, b"hi ann"), field(2, &[0x08, 5])].concat());
    let end = frame(0x80, b"grpc-status:0\r\ngrpc-message:said so\r\n");

    let r = web("application/grpc-web+proto", &asked).is(200);
    assert_eq!(r.header("content-type"), Some("application/grpc-web+proto"));
    assert_eq!(r.header("access-control-allow-origin"), Some("shop.test"));
    assert_eq!(r.body, [said.clone(), end.clone()].concat());
    assert_eq!(server.last().header("content-type"), Some("application/grpc"));
    assert_eq!(server.last().body, asked);

    // each chunk is encoded by itself
    let r = web(
        "application/grpc-web-text+proto",
        STANDARD.encode(&asked).as_bytes(),
    )
    .is(200);
    let pieces = [&said[..7], &said[7..], &end].map(|p| STANDARD.encode(p));
    assert_eq!(r.text(), pieces.concat());
    assert_eq!(server.last().body, asked);

    let r = web("application/json", br#"{"name":"bob"}"#).is(200);
    assert_eq!(r.json(), json!({ "said": "hi bob", "at": "1970-01-01T00:00:05" }));
    assert_eq!(server.last().body, frame(0, &field(1, b"bob")));

    let r = web("application/grpc-web+json", &frame(0, br#"{"name":"cy"}"#)).is(200);
    assert_eq!(r.header("content-type"), Some("application/grpc-web+json"));
    let length = u32::from_be_bytes(r.body[1..5].try_into().unwrap()) as usize;
    let told: Value = serde_json::from_slice(&r.body[5..5 + length]).unwrap();
    assert_eq!(told["said"], "hi cy");
    assert_eq!(r.body[5 + length..], end);

    let r = g
        .send(
            "POST",
            "desk",
            "/shop.Desk/None",
            &[("Content-Type", "application/json")],
            "{}",
        )
        .is(400);
    assert_eq!(r.text(), r#"Unknown path "/shop.Desk/None""#);
    let r = g.send("OPTIONS", "desk", path, &[], "").is(200);
    assert_eq!(
        r.header("access-control-allow-headers"),
        Some("content-type,x-grpc-web,x-user-agent")
    );
}
