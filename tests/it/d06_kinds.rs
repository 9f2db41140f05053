//! D6: bodies of each type over real sockets: what `set_body` sends, byte for byte; what `get_body` reads, and up to
//! where; how much of an answer is buffered.

use serde_json::{Value, json};

use crate::support::gateway::{PROBE_RESPONSE, one_line};
use crate::support::{Gateway, Origin, Setup, service, with};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// Runs Lua in access of a request with this body, and gives what the upstream saw of it: type and body.
fn sent(gateway: &Gateway, origin: &Origin, kind: &str, body: &[u8], lua: &str) -> (String, String) {
    let lua = one_line(lua);
    let headers = [("Content-Type", kind), ("X-Access", lua.as_str())];
    let r = gateway.connect().ask("POST", "/", &headers, body);
    assert_eq!(r.status, 200, "{lua}: {}", gateway.errors());
    let seen = origin.last();
    let length = seen.body.len().to_string();
    assert_eq!(seen.header("content-length"), Some(length.as_str()), "{lua}");
    assert_eq!(seen.header("transfer-encoding"), None, "{lua}");
    let kind = seen.header("content-type").unwrap_or_default().to_owned();
    (kind, String::from_utf8(seen.body).unwrap())
}

#[test]
fn d06_set_body_sends_what_kong_sends() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port).start();
    let part = |name: &str, value: &str| {
        format!("--q\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let parts = [
        part("a", "x y"),
        part("b", "1.5"),
        part("c d", "true"),
        "--q--\r\n".into(),
    ]
    .concat();
    let multipart = "multipart/form-data; boundary=q";
    for (args, mime, kind, body) in [
        // sorted by what each name has become; false is an empty piece
        (
            "{ b = { 1, true, 'x y' }, a = 'ü&=', c = true, d = false, e = '' }",
            FORM,
            FORM,
            "&a=%C3%BC%26%3D&b=1&b&b=x%20y&c&e=",
        ),
        ("{}", FORM, FORM, ""),
        (
            "{ a = 1 }",
            "application/x-www-form-urlencoded; charset=utf-8",
            "application/x-www-form-urlencoded; charset=utf-8",
            "a=1",
        ),
        (
            "{ n = { 1, 2.5, 'ü/\"', true, ngx.null } }",
            JSON,
            JSON,
            r#"{"n":[1,2.5,"ü\/\"",true,null]}"#,
        ),
        ("{ third = 1 / 3 }", JSON, JSON, r#"{"third":0.3333333333333333}"#),
        ("{}", JSON, JSON, "{}"),
        ("setmetatable({}, require('cjson').array_mt)", JSON, JSON, "[]"),
        ("{ [3] = 'c' }", JSON, JSON, r#"[null,null,"c"]"#),
        (
            "{ b = 1.5, ['c d'] = true, a = 'x y' }",
            multipart,
            multipart,
            &parts,
        ),
        (
            "{ b = 1.5, ['c d'] = true, a = 'x y' }",
            "multipart/form-data; boundary=\"q\"",
            multipart,
            &parts,
        ),
        ("{}", multipart, multipart, "--q--\r\n"),
    ] {
        let lua = format!("assert(kong.service.request.set_body({args}, '{mime}'))");
        // whatever the client had sent is gone: a little, and more than is kept in memory
        for old in [&b"old"[..], &[b'x'; 20_000]] {
            let seen = sent(&gateway, &origin, "text/plain", old, &lua);
            assert_eq!(seen, (kind.to_owned(), body.to_owned()), "{args}");
        }
    }
}

#[test]
fn d06_set_body_keeps_to_the_clients_type_and_finds_a_boundary() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port).start();
    let send = |kind: &str, lua: &str| sent(&gateway, &origin, kind, b"old", lua);
    let (kind, body) = send(
        "application/json; charset=utf-8",
        "assert(kong.service.request.set_body({ a = 1 }))",
    );
    assert_eq!(
        (kind.as_str(), body.as_str()),
        ("application/json; charset=utf-8", r#"{"a":1}"#)
    );
    // none is given, or the one given stands in a value
    for mime in ["multipart/form-data", "multipart/form-data; boundary=q"] {
        let lua = format!("assert(kong.service.request.set_body({{ a = 'x\\n--q' }}, '{mime}'))");
        let (kind, body) = send("text/plain", &lua);
        let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
        assert!(boundary.parse::<u64>().is_ok(), "{kind}");
        let want = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\n--q\r\n--{boundary}--\r\n"
        );
        assert_eq!(body, want);
    }
    // what it refuses leaves the body as it was
    for (lua, why) in [
        (
            "{ print }, 'application/json'",
            "Cannot serialise function: type not supported",
        ),
        (
            "{ 1 }, 'application/x-www-form-urlencoded'",
            "arg keys must be strings",
        ),
        (
            "{ a = print }, 'application/x-www-form-urlencoded'",
            "attempt to use function as query arg value",
        ),
        (
            "{ 1 }, 'multipart/form-data'",
            "invalid key \"1\": got number, expected string",
        ),
        (
            "{ a = {} }, 'multipart/form-data'",
            "invalid value \"a\": got table, expected string, number or boolean",
        ),
        (
            "{}, 'Application/JSON'",
            "unsupported content type Application/JSON",
        ),
        ("{}", "unsupported content type text/plain"),
    ] {
        let lua = format!(
            "local ok, err = pcall(kong.service.request.set_body, {lua})
             assert(not ok and err:find([[{why}]], 1, true), err)"
        );
        assert_eq!(
            send("text/plain", &lua),
            ("text/plain".to_owned(), "old".to_owned()),
            "{lua}"
        );
    }
}

#[test]
fn d06_set_body_gives_a_request_without_one_a_body() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port).start();
    let lua = "local ok, err = kong.service.request.set_body({ a = 1 })
        assert(ok == nil and err == 'content type was neither explicitly given as an argument or received as a header')
        assert(kong.service.request.set_body({ a = 1 }, 'application/json'))";
    gateway.get("/", &[("X-Access", &one_line(lua))]).is(200);
    let seen = origin.last();
    assert_eq!(
        (seen.header("content-length"), &seen.body[..]),
        (Some("7"), &br#"{"a":1}"#[..])
    );
}

/// What `get_body(args)` gives for a body of that type: value, error, type.
fn got(gateway: &Gateway, kind: &str, body: &str, args: &str) -> Value {
    let lua = format!(
        "local value, err, kind = kong.request.get_body({args})
         kong.response.exit(200, {{ value or ngx.null, err or ngx.null, kind or ngx.null }})"
    );
    let lua = one_line(&lua);
    let headers = [("Content-Type", kind), ("X-Access", lua.as_str())];
    let whole = gateway
        .connect()
        .ask("POST", "/", &headers, body.as_bytes())
        .is(200)
        .json();
    // the same without a length
    let mut client = gateway.connect();
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nX-Access: {lua}\r\nTransfer-Encoding: chunked\r\n\r\n"
    ));
    for piece in body.as_bytes().chunks(7000) {
        client
            .send(format!("{:x}\r\n", piece.len()))
            .send(piece)
            .send("\r\n");
    }
    client.send("0\r\n\r\n");
    assert_eq!(
        client.answer(false).json(),
        whole,
        "{args} of {} bytes",
        body.len()
    );
    whole
}

#[test]
fn d06_get_body_counts_the_arguments_of_a_form() {
    let gateway = Setup::probe(1).start();
    let form = (1..=150)
        .map(|i| format!("a{i}={i}"))
        .collect::<Vec<_>>()
        .join("&");
    for (args, count) in [
        ("", 100),
        ("nil, 1", 1),
        ("nil, 7", 7),
        ("nil, 150", 150),
        ("nil, 1000", 150),
    ] {
        let got = got(&gateway, FORM, &form, args);
        assert_eq!(got[0].as_object().unwrap().len(), count, "{args}");
        assert_eq!((&got[1], &got[2]), (&Value::Null, &json!(FORM)));
    }
    let got = |body, args| {
        got(
            &gateway,
            "application/x-www-form-urlencoded; charset=utf-8",
            body,
            args,
        )
    };
    assert_eq!(
        got("a=1&b&a=2&c=&%64=x+y", ""),
        json!([{ "a": ["1", "2"], "b": true, "c": "", "d": "x y" }, null, FORM])
    );
    // in a file it is not read, whatever size is allowed
    let large = format!("a={}", "x".repeat(20_000));
    for args in ["", "nil, nil, 0", "nil, 10, 100000"] {
        assert_eq!(
            got(&large, args),
            json!([null, "request body in temp file not supported", FORM])
        );
    }
    let limited = Setup::probe(1).set("lua_max_post_args", "5").start();
    assert_eq!(
        self::got(&limited, FORM, &form, "")[0].as_object().unwrap().len(),
        5
    );
    assert_eq!(
        self::got(&limited, FORM, &form, "nil, 9")[0]
            .as_object()
            .unwrap()
            .len(),
        9
    );
}

#[test]
fn d06_get_body_reads_json_and_parts_up_to_a_size() {
    let gateway = Setup::probe(1).start();
    let long = "x".repeat(20_000);
    let part = |name: &str, value: &str| {
        format!("--q\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let multipart = "multipart/form-data";
    let typed = "multipart/form-data; boundary=q";
    let small = [part("a", "1"), part("b", "2"), part("a", "3"), "--q--\r\n".into()].concat();
    assert_eq!(
        got(&gateway, typed, &small, ""),
        json!([{ "a": ["1", "3"], "b": "2" }, null, multipart])
    );
    assert_eq!(got(&gateway, multipart, &small, ""), json!([{}, null, multipart]));
    assert_eq!(
        got(&gateway, JSON, r#"{"a":[1,null]}"#, ""),
        json!([{ "a": [1, null] }, null, JSON])
    );
    for text in ["", "5", "nonsense"] {
        assert_eq!(
            got(&gateway, JSON, text, ""),
            json!([null, "invalid json body", JSON])
        );
    }
    let no_room =
        "request body did not fit into client body buffer, consider raising 'client_body_buffer_size'";
    for (kind, name, body, value) in [
        (JSON, JSON, format!("{{\"a\":\"{long}\"}}"), json!({ "a": &long })),
        (
            typed,
            multipart,
            part("a", &long) + "--q--\r\n",
            json!({ "a": &long }),
        ),
    ] {
        let size = body.len();
        for args in ["", "nil, nil, -1"] {
            assert_eq!(got(&gateway, kind, &body, args), json!([null, no_room, name]));
        }
        let too_big = format!("request body file too big: {size} > {}", size - 1);
        let args = format!("nil, nil, {}", size - 1);
        assert_eq!(got(&gateway, kind, &body, &args), json!([null, too_big, name]));
        for args in ["nil, nil, 0".to_owned(), format!("nil, nil, {size}")] {
            assert_eq!(
                got(&gateway, kind, &body, &args),
                json!([&value, null, name]),
                "{args}"
            );
        }
    }
    // with more room in memory there is no file, and no size to allow
    let roomy = Setup::probe(1)
        .set("nginx_http_client_body_buffer_size", "64k")
        .start();
    let body = format!("{{\"a\":\"{long}\"}}");
    assert_eq!(got(&roomy, JSON, &body, ""), json!([{ "a": &long }, null, JSON]));
    assert_eq!(
        got(&roomy, FORM, &format!("a={long}"), ""),
        json!([{ "a": &long }, null, FORM])
    );
}

/// The most that is buffered of an answer.
const MOST: usize = 64 << 20;

/// An upstream whose answers are as long as the path says: `/length/N`, `/chunked/N`.
fn long_answers() -> Origin {
    Origin::replying(|seen| {
        let mut words = seen.line().split(['/', ' ']).skip(2);
        let (how, size) = (words.next().unwrap().to_owned(), words.next().unwrap());
        let body = vec![b'x'; size.parse().unwrap()];
        let mut all = b"HTTP/1.1 200 OK\r\nX-Up: 1\r\n".to_vec();
        if how == "length" {
            all.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
            all.extend_from_slice(&body);
        } else {
            all.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            for piece in body.chunks(1 << 20) {
                all.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                all.extend_from_slice(piece);
                all.extend_from_slice(b"\r\n");
            }
            all.extend_from_slice(b"0\r\n\r\n");
        }
        all
    })
}

#[test]
fn d06_an_answer_is_buffered_whole_up_to_the_cap() {
    let origin = long_answers();
    let gateway = Setup::probe(origin.port).start();
    let buffer = ("X-Access", "kong.service.request.enable_buffering()");
    let note = (
        "X-Header-Filter",
        "kong.response.set_header('X-Held', #kong.service.response.get_raw_body())",
    );
    for how in ["length", "chunked"] {
        let r = gateway.get(&format!("/{how}/{MOST}"), &[buffer, note]).is(200);
        assert_eq!(
            (r.body.len(), r.header("x-held")),
            (MOST, Some("67108864")),
            "{how}"
        );
    }
    assert!(!gateway.errors().contains("[error]"), "{}", gateway.errors());
}

#[test]
fn d06_an_answer_beyond_the_cap_is_a_bad_gateway() {
    let origin = long_answers();
    let gateway = Setup::probe(origin.port).start();
    let buffer = ("X-Access", "kong.service.request.enable_buffering()");
    for how in ["length", "chunked"] {
        let path = format!("/{how}/{}", MOST + 1);
        let r = gateway.get(&path, &[buffer]).is(502);
        // nothing of the upstream's head goes with the gateway's own answer
        assert_eq!(r.header("x-up"), None);
        assert_eq!(
            r.json()["message"],
            "An invalid response was received from the upstream server"
        );
        // who does not buffer is not concerned
        assert_eq!(gateway.get(&path, &[]).is(200).body.len(), MOST + 1);
    }
    let line = gateway.logged("buffering the upstream's response failed: larger than 67108864 bytes");
    assert!(line.contains("[error]"), "{line}");
    gateway.get("/length/5", &[buffer]).is(200);
}

#[test]
fn d06_the_response_phase_has_the_same_cap() {
    let origin = long_answers();
    let gateway = Setup::new(&with(service(origin.port), "late", json!({})))
        .plugin("late", PROBE_RESPONSE)
        .start();
    let lua = "kong.response.set_header('X-Held', #kong.service.response.get_raw_body())";
    let r = gateway
        .get(&format!("/length/{MOST}"), &[("X-Response", lua)])
        .is(200);
    assert_eq!((r.body.len(), r.header("x-held")), (MOST, Some("67108864")));
    let r = gateway
        .get(&format!("/chunked/{}", MOST + 1), &[("X-Response", lua)])
        .is(502);
    assert_eq!((r.header("x-up"), r.header("x-held")), (None, None));
    gateway.logged("larger than 67108864 bytes");
    // an answer of the phase's own is no longer than it says
    let r = gateway.get(
        &format!("/length/{MOST}"),
        &[("X-Response", "kong.response.exit(201, 'short')")],
    );
    assert_eq!(r.is(201).text(), "short");
}
