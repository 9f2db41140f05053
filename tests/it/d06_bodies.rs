//! D6: bodies in memory and in files, read, replaced and thrown away, and no file left of any of it.

use std::time::Duration;

use crate::support::gateway::one_line;
use crate::support::{Gateway, Origin, Setup, eventually};

/// What stands in the folder of bodies.
fn files(gateway: &Gateway) -> usize {
    std::fs::read_dir(gateway.prefix().join("client_body_temp")).map_or(0, Iterator::count)
}

fn none_left(gateway: &Gateway) {
    let gone = eventually(Duration::from_secs(5), || files(gateway) == 0);
    assert!(gone, "{} files left", files(gateway));
}

fn chunked(body: &[u8], lua: &str) -> Vec<u8> {
    let mut all = format!(
        "POST /x HTTP/1.1\r\nHost: a\r\nX-Access: {}\r\nTransfer-Encoding: chunked\r\n\r\n",
        one_line(lua)
    )
    .into_bytes();
    for part in body.chunks(3000) {
        all.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
        all.extend_from_slice(part);
        all.extend_from_slice(b"\r\n");
    }
    all.extend_from_slice(b"0\r\n\r\n");
    all
}

#[test]
fn d06_large_bodies_stand_in_a_file_while_the_request_lasts() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port).start();
    let large = vec![b'x'; 20_000];
    let lua = "ngx.req.read_body()
        local name = ngx.req.get_body_file()
        local f = assert(io.open(name)) local n = #f:read('*a') f:close()
        local raw, err = kong.request.get_raw_body()
        local raw2, err2 = kong.request.get_raw_body(19999)
        ngx.say(tostring(ngx.req.get_body_data()), ' ', n, ' ', tostring(raw), ' ', err)
        ngx.say(tostring(raw2), ' ', err2, ' ', #kong.request.get_raw_body(20000), ' ', #kong.request.get_raw_body(0))";
    let want = "nil 20000 nil request body did not fit into client body buffer, consider raising \
                'client_body_buffer_size'\nnil request body file too big: 20000 > 19999 20000 20000\n";
    let mut client = gateway.connect();
    let r = client.ask("POST", "/", &[("X-Access", &one_line(lua))], &large);
    assert_eq!(r.text(), want, "{}", gateway.errors());
    // the same without a length
    client.send(chunked(&large, lua));
    assert_eq!(client.answer(false).text(), want, "{}", gateway.errors());
    // it goes on to the upstream, and a capture may have it at the same time
    let read = ("X-Access", "ngx.req.read_body()");
    client.ask("POST", "/", &[read], &large).is(200);
    assert_eq!(origin.last().body.len(), 20_000);
    none_left(&gateway);
}

#[test]
fn d06_small_bodies_without_a_length_are_seen_whole() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port).start();
    let mut client = gateway.connect();
    client.send(chunked(
        b"a=1&b=2",
        "ngx.req.read_body() kong.service.request.set_header('X-Saw', ngx.req.get_body_data() .. ' ' ..
         tostring(ngx.req.get_body_file()))",
    ));
    client.answer(false).is(200);
    let seen = origin.last();
    assert_eq!(seen.header("x-saw"), Some("a=1&b=2 nil"));
    assert_eq!(
        (seen.header("content-length"), &seen.body[..]),
        (Some("7"), &b"a=1&b=2"[..])
    );
}

#[test]
fn d06_a_client_that_leaves_leaves_no_file() {
    let gateway = Setup::probe(1).start();
    let mut client = gateway.connect();
    client.send(
        "POST / HTTP/1.1\r\nHost: a\r\nX-Access: ngx.req.read_body()\r\nContent-Length: 100000\r\n\r\n",
    );
    client.send(vec![b'x'; 50_000]);
    assert!(eventually(Duration::from_secs(5), || files(&gateway) == 1));
    drop(client);
    none_left(&gateway);
    // nor one that leaves while a handler sleeps over it, nor a handler that fails
    let mut client = gateway.connect();
    client.send(
        "POST / HTTP/1.1\r\nHost: a\r\nX-Access: ngx.req.read_body() ngx.sleep(2)\r\nContent-Length: 20000\r\n\r\n",
    );
    client.send(vec![b'x'; 20_000]);
    assert!(eventually(Duration::from_secs(5), || files(&gateway) == 1));
    drop(client);
    none_left(&gateway);
    let large = vec![b'x'; 20_000];
    for lua in [
        "ngx.req.read_body() error('x')",
        "ngx.req.read_body() ngx.req.set_body_data('y') ngx.exit(403)",
        "ngx.req.read_body() ngx.req.init_body(10) ngx.req.append_body(('z'):rep(100)) ngx.exit(403)",
    ] {
        gateway.connect().ask("POST", "/", &[("X-Access", lua)], &large);
    }
    none_left(&gateway);
}

#[test]
fn d06_bodies_made_by_lua_reach_the_upstream() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port).start();
    let send = |lua: &str| {
        gateway
            .connect()
            .ask("POST", "/", &[("X-Access", &one_line(lua))], b"client")
            .is(200);
        let seen = origin.last();
        let length = seen.header("content-length").unwrap_or_default().to_owned();
        assert_eq!(length, seen.body.len().to_string());
        String::from_utf8(seen.body).unwrap()
    };
    let many = "a".repeat(30_000);
    assert_eq!(send("ngx.req.read_body() ngx.req.set_body_data('mine')"), "mine");
    assert_eq!(
        send(
            "ngx.req.read_body() ngx.req.init_body() for i = 1, 300 do ngx.req.append_body(('a'):rep(100)) end
             ngx.req.finish_body()"
        ),
        many
    );
    assert_eq!(
        send(
            "ngx.req.read_body() local n = os.tmpname() local f = io.open(n, 'w') f:write('from a file') f:close()
             ngx.req.set_body_file(n, true)"
        ),
        "from a file"
    );
    assert_eq!(send("ngx.req.discard_body()"), "");
    none_left(&gateway);
}

#[test]
fn d06_a_client_that_waits_is_asked_when_lua_reads_or_discards() {
    let gateway = Setup::probe(1).start();
    for lua in [
        "ngx.req.read_body() ngx.say(#ngx.req.get_body_data())",
        "ngx.req.discard_body() ngx.sleep(0.2) ngx.say(4)",
    ] {
        let mut client = gateway.connect();
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nX-Access: {lua}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
        ));
        let first = client.head().unwrap();
        assert_eq!(first.status, 100, "{lua}");
        client.send("body");
        assert_eq!(client.answer(false).text(), "4\n", "{lua}");
    }
}
