//! `ngx.req.socket`: the client's body piece by piece, and its connection raw.

use std::io::Write as _;
use std::time::Duration;

use serde_json::json;

use crate::support::gateway::one_line;
use crate::support::{Client, Gateway, Origin, Setup};

fn gateway(origin: &Origin) -> Gateway {
    Setup::probe(origin.port).set("untrusted_lua", "on").start()
}

fn head(lua: &str, more: &str) -> String {
    format!(
        "POST /x HTTP/1.1\r\nHost: a.test\r\nX-Access: {}\r\n{more}\r\n",
        one_line(lua)
    )
}

#[test]
fn d03_the_body_is_read_as_it_comes() {
    let origin = Origin::echo();
    let gateway = gateway(&origin);
    let lua = "local s, err = ngx.req.socket() if not s then kong.response.exit(200, { err }) end
        s:settimeout(2000) local got = { s:receive(3), s:receive('*l'), s:receiveuntil('--')() }
        local rest, e, partial = s:receive(100) got[#got + 1] = partial got[#got + 1] = e
        local second, err2 = ngx.req.socket() got[#got + 1] = err2
        got[#got + 1] = tostring(s.send) kong.response.exit(200, got)";
    let mut client = gateway.connect();
    client.send(head(lua, "Content-Length: 20\r\n"));
    std::thread::sleep(Duration::from_millis(50));
    client.send("abcline\r\n");
    std::thread::sleep(Duration::from_millis(50));
    client.send("until--tail");
    assert_eq!(
        client.answer(false).is(200).json(),
        json!([
            "abc",
            "line",
            "until",
            "tail",
            "closed",
            "request body already exists",
            "nil"
        ])
    );
    // the connection goes on
    assert_eq!(client.get("/after").is(200).json()["path"], "/after");
    let say = |more: &str, body: &str| {
        let mut client = gateway.connect();
        client.send(head(lua, more) + body);
        client.answer(false).is(200).json()[0].clone()
    };
    assert_eq!(say("Content-Length: 0\r\n", ""), "no body");
    assert_eq!(
        say("Transfer-Encoding: chunked\r\n", "1\r\na\r\n0\r\n\r\n"),
        "chunked request bodies not supported yet"
    );
    let read = format!("ngx.req.read_body() {lua}");
    let mut client = gateway.connect();
    client.send(head(&read, "Content-Length: 2\r\n") + "ab");
    assert_eq!(
        client.answer(false).is(200).json()[0],
        "request body already exists"
    );
}

#[test]
fn d03_a_client_that_goes_away_in_its_body_is_told_of() {
    let origin = Origin::echo();
    let gateway = gateway(&origin);
    let lua = "local s = ngx.req.socket() local d, e, p = s:receive(10) ngx.log(ngx.ERR, 'got ', d, ' ', e, ' ', p)";
    let mut client = gateway.connect();
    client.send(head(lua, "Content-Length: 10\r\n") + "abc");
    std::thread::sleep(Duration::from_millis(50));
    drop(client);
    gateway.logged("got nil client aborted abc");
    let lua = "local s = ngx.req.socket() s:settimeout(30) local d, e, p = s:receive(10)
        kong.response.exit(200, { e, p })";
    let mut client = gateway.connect();
    client.send(head(lua, "Content-Length: 10\r\n") + "abc");
    assert_eq!(client.answer(false).is(200).json(), json!(["timeout", "abc"]));
}

/// Everything up to the end of the connection.
fn rest(client: &mut Client) -> String {
    String::from_utf8_lossy(&client.rest()).into_owned()
}

#[test]
fn d03_raw_sockets_have_the_connection() {
    let origin = Origin::echo();
    let gateway = gateway(&origin);
    let lua = "local s = assert(ngx.req.socket(true)) s:settimeout(2000)
        local line = s:receive() s:send('got ' .. line .. '\\n')
        local more = s:receive('*l') s:send({ 'and ', more, '\\n' })
        s:send(tostring(select(2, ngx.req.socket(true))) .. '\\n') s:send(tostring(s.close))";
    // the first line comes with the head, the second later
    let mut client = gateway.connect();
    client.send(head(lua, "") + "one\r\n");
    assert_eq!(client.take(8), b"got one\n");
    client.send("two\n");
    assert_eq!(rest(&mut client), "and two\nduplicate call\nnil");
    drop(client);
    gateway.access_logged("\"POST /x HTTP/1.1\" 200");
    // with a body in the head's packet, in part
    let mut client = gateway.connect();
    client.send(head(lua, "Content-Length: 12\r\n") + "abcd");
    std::thread::sleep(Duration::from_millis(50));
    client.send("efg\nxy\n");
    assert_eq!(rest(&mut client), "got abcdefg\nand xy\nduplicate call\nnil");
    // after a head of its own
    let lua = "ngx.status = 101 ngx.header['Upgrade'] = 'mine' assert(ngx.send_headers())
        assert(ngx.flush(true)) local s = assert(ngx.req.socket(true)) s:settimeout(2000) s:send(s:receive(3):upper())";
    let mut client = gateway.connect();
    client.send(head(lua, "Upgrade: mine\r\nConnection: upgrade\r\n"));
    let answer = client.head().unwrap();
    assert_eq!((answer.status, answer.header("upgrade")), (101, Some("mine")));
    assert_eq!(answer.header("connection"), Some("upgrade"));
    client.send("abc");
    assert_eq!(rest(&mut client), "ABC");
    // once it is taken, nobody else writes
    let lua = "local s = assert(ngx.req.socket(true)) local t = { select(2, ngx.say('x')), select(2, ngx.print('x')),
        select(2, ngx.flush()), select(2, ngx.eof()) } s:send(table.concat(t, '|'))";
    let mut client = gateway.connect();
    client.send(head(lua, ""));
    let acquired = "raw request socket acquired";
    assert_eq!(rest(&mut client), [acquired; 4].join("|"));
    // nor while the body is being read, or where HTTP/1.0 is to get a length
    let lua = "local b = assert(ngx.req.socket()) local s, err = ngx.req.socket(true) b:receive(2)
        kong.response.exit(200, { err })";
    let mut client = gateway.connect();
    client.send(head(lua, "Content-Length: 2\r\n") + "a");
    std::thread::sleep(Duration::from_millis(50));
    client.send("b");
    assert_eq!(
        client.answer(false).is(200).json(),
        json!(["pending request body reading in some other thread"])
    );
    let lua = "ngx.say('x') ngx.say((select(2, ngx.req.socket(true))))";
    let mut client = gateway.connect();
    client.send(head(lua, "").replace("HTTP/1.1", "HTTP/1.0"));
    assert!(rest(&mut client).ends_with("x\nhttp 1.0 buffering\n"));
    // and with what was said before
    let lua = "ngx.say('said') local s = assert(ngx.req.socket(true)) s:send('sent')";
    let mut client = gateway.connect();
    client.send(head(lua, ""));
    assert!(rest(&mut client).ends_with("\r\n\r\nsaid\nsent"));
}

#[test]
fn d03_a_raw_socket_has_a_chunked_body_as_it_came() {
    let origin = Origin::echo();
    let gateway = gateway(&origin);
    let lua = "local s = assert(ngx.req.socket(true)) s:settimeout(2000) local got = {}
        while true do local n = tonumber(s:receive(), 16) got[#got + 1] = s:receive(n) s:receive(2)
          if n == 0 then break end end
        s:send(table.concat(got, '|') .. ' then ' .. s:receive(3))";
    let chunked = "Transfer-Encoding: chunked\r\n";
    let mut client = gateway.connect();
    client.send(head(lua, chunked) + "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nxyz");
    assert_eq!(rest(&mut client), "hello| world| then xyz");
    // in pieces, a pipelined request's head behind it
    let mut client = gateway.connect();
    for piece in [
        &head(lua, chunked),
        "5",
        "\r\nhel",
        "lo\r\n0\r",
        "\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        client.send(piece);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(rest(&mut client), "hello| then GET");
    // what was read whole is gone, what is being read is somebody's
    let read = "ngx.req.read_body() local s = assert(ngx.req.socket(true)) s:settimeout(2000)
        s:send(ngx.req.get_body_data() .. ' then ' .. s:receive(3))";
    let mut client = gateway.connect();
    client.send(head(read, chunked) + "5\r\nhello\r\n0\r\n\r\nxyz");
    assert_eq!(rest(&mut client), "hello then xyz");
    let beside = "ngx.thread.spawn(ngx.req.read_body) ngx.sleep(0.05)
        kong.response.exit(200, { select(2, ngx.req.socket(true)) })";
    let mut client = gateway.connect();
    client.send(head(beside, chunked) + "5\r\nhel");
    assert_eq!(
        client.answer(false).is(200).json(),
        json!(["pending request body reading in some other thread"])
    );
    let beside =
        "ngx.thread.spawn(ngx.req.read_body) kong.response.exit(200, { select(2, ngx.req.socket(true)) })";
    let mut client = gateway.connect();
    client.send(head(beside, "Content-Length: 5\r\n") + "hel");
    assert_eq!(
        client.answer(false).is(200).json(),
        json!(["pending request body reading in some other thread"])
    );
    // the connection's number in the system, and its options
    let options = "local b, s = ngx.req.socket(), nil local fd, on = b:getfd(), b:getoption('tcp-nodelay')
        b:receive(2) s = assert(ngx.req.socket(true)) s:setoption('keepalive', true)
        s:send(tostring(fd == s:getfd() and fd > 2) .. on .. s:getoption('keepalive'))";
    let mut client = gateway.connect();
    client.send(head(options, "Content-Length: 2\r\n") + "ab");
    assert_eq!(rest(&mut client), "true11");
    // an ordinary one goes on as before, however it is cut
    let mut client = gateway.connect();
    let whole = head("", chunked) + "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    for round in [1, 7, 4096] {
        for piece in whole.as_bytes().chunks(round) {
            client.send(piece);
        }
        assert_eq!(client.answer(false).is(200).json()["body"], "hello world");
    }
}

#[test]
fn d03_a_handler_with_the_connection_is_told_when_its_client_goes() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port)
        .set("untrusted_lua", "on")
        .set("log_level", "info")
        .set("nginx_http_lua_check_client_abort", "on")
        .start();
    let go = |lua: &str| {
        let mut client = gateway.connect();
        client.send(head(lua, "") + "one\n");
        assert_eq!(client.take(1), b".");
        std::thread::sleep(Duration::from_millis(50));
    };
    // in a sleep, before and after it read
    let told = "assert(ngx.on_abort(function() ngx.log(ngx.ERR, 'told of ', name) end))
        local s = assert(ngx.req.socket(true)) s:settimeout(3000)";
    go(&format!(
        "name = 'the first' {told} s:receive() s:send('.') ngx.sleep(0.3) ngx.log(ngx.ERR, 'first goes on')"
    ));
    gateway.logged("told of the first");
    gateway.logged("first goes on");
    gateway.logged("client prematurely closed connection");
    // a read that timed out is none
    go(&format!(
        "name = 'the second' {told} s:receive() s:settimeout(10) s:receive() s:send('.') ngx.sleep(60)"
    ));
    gateway.logged("told of the second");
    // who reads hears it as his error
    go(&format!(
        "name = 'nobody' {told} s:receive() s:send('.') ngx.log(ngx.ERR, 'reads: ', (select(2, s:receive()))) "
    ));
    gateway.logged("reads: client aborted");
    // who did not want to be told ends
    go(
        "local s = assert(ngx.req.socket(true)) s:receive() s:send('.') ngx.sleep(0.3) ngx.log(ngx.ERR, 'went on')",
    );
    std::thread::sleep(Duration::from_millis(400));
    assert!(!gateway.errors().contains("went on"), "{}", gateway.errors());
    assert!(
        !gateway.errors().contains("told of nobody"),
        "{}",
        gateway.errors()
    );
}

#[test]
fn d03_raw_sockets_carry_much_both_ways() {
    let origin = Origin::echo();
    let gateway = gateway(&origin);
    let lua = "local s = assert(ngx.req.socket(true)) s:settimeout(5000)
        while true do local data, err = s:receiveany(65536) if not data then break end assert(s:send(data)) end";
    let mut client = gateway.connect();
    client.send(head(lua, ""));
    let mut stream = client.stream.try_clone().unwrap();
    let bytes: Vec<u8> = (0..3_000_000u32).map(|i| (i * 7 + i / 251) as u8).collect();
    let sent = bytes.clone();
    let writer = std::thread::spawn(move || {
        for chunk in sent.chunks(10_007) {
            stream.write_all(chunk).unwrap();
        }
        stream.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let got = client.rest();
    writer.join().unwrap();
    assert!(got == bytes, "{} of {} bytes", got.len(), bytes.len());
}

#[test]
fn d03_a_raw_handler_that_fails_ends_the_connection() {
    let origin = Origin::echo();
    let gateway = gateway(&origin);
    let mut client = gateway.connect();
    client.send(head(
        "local s = ngx.req.socket(true) s:send('before') error('in the middle')",
        "",
    ));
    assert_eq!(rest(&mut client), "before");
    gateway.logged("in the middle");
    assert_eq!(origin.seen().len(), 0, "it goes nowhere else");
}
