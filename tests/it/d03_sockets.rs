//! Cosockets over real sockets: TLS with what OpenResty says about it, pools that keep identities apart, datagrams,
//! and what becomes of sockets when their request ends.

use std::net::UdpSocket;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::certs::{Ca, Cert, Leaf};
use crate::support::tls_upstream::Options;
use crate::support::{Gateway, Origin, Setup, TempDir, TlsUpstream, eventually};

/// A helper for the Lua of requests: one request over a socket, and what the upstream said of it.
const ASK: &str = "local function ask(s) s:send('GET / HTTP/1.1\\r\\nHost: a.test\\r\\n\\r\\n')
    local head = s:receiveuntil('\\r\\n\\r\\n')() local n = tonumber(head:lower():match('content%-length: (%d+)'))
    return require('cjson').decode(s:receive(n)) end ";

struct Tls {
    gateway: Gateway,
    ca: Ca,
    _dir: TempDir,
    _origin: Origin,
}

impl Tls {
    /// A gateway that trusts an authority.
    fn start() -> Self {
        let (ca, dir, origin) = (Ca::new("Root"), TempDir::new(), Origin::echo());
        let file = dir.write("ca.pem", &ca.pem()).display().to_string();
        let gateway = Setup::probe(origin.port)
            .set("lua_ssl_trusted_certificate", &file)
            .set("untrusted_lua", "on")
            .start();
        Self {
            gateway,
            ca,
            _dir: dir,
            _origin: origin,
        }
    }

    fn leaf(&self, name: &str) -> Cert {
        self.ca.issue(&Leaf::named(name))
    }

    /// What Lua says in the access phase: `return`ed values as a list, nil as null.
    fn says(&self, port: u16, lua: &str) -> Value {
        let code = crate::support::gateway::one_line(&format!(
            "local port = {port} {ASK} local function run() {lua} end
             local r, t = table.pack(run()), {{}}
             for i = 1, r.n do local v = r[i] t[i] = v == nil and ngx.null or type(v) == 'cdata' and 'cdata' or v end
             kong.response.exit(200, require('cjson').encode(t), {{ ['Content-Type'] = 'application/json' }})"
        ));
        self.gateway.access(&code).is(200).json()
    }
}

/// A text as a Lua string on one line.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\n', "\\n"))
}

const OVER: &str = "local function over(name, verify, session) local s = ngx.socket.tcp() s:settimeout(3000)
    assert(s:connect('127.0.0.1', port)) local ok, err = s:sslhandshake(session, name, verify)
    if ok == nil then return nil, err end return s, ok end ";

#[test]
fn d03_handshakes_say_what_openresty_says() {
    let tls = Tls::start();
    let up = TlsUpstream::start(&Options::new(&tls.leaf("a.test")));
    let say = |lua: &str| tls.says(up.port, &format!("{OVER} {lua}"));
    let seen =
        say("local s, session = over('a.test', true) local r = ask(s) return session, r.sni, r.resumed");
    assert_eq!(seen, json!(["cdata", "a.test", false]));
    assert_eq!(say("local s = over(nil, false) return ask(s).sni"), json!([null]));
    assert_eq!(
        say("local s = over(nil, true) return s ~= nil"),
        json!([true]),
        "no name, no name's check"
    );
    assert_eq!(
        say("return over('b.test', true)"),
        json!([null, "certificate host mismatch"])
    );
    assert_eq!(say("return (over('b.test', false)) ~= nil"), json!([true]));
    assert_eq!(
        say("return select(2, over('a.test', true, false))"),
        json!([true])
    );
    // what failed is closed
    let lua =
        "local s = ngx.socket.tcp() s:connect('127.0.0.1', port) local ok, e = s:sslhandshake(nil, 'b', true)
        local _, after = s:send('x') return ok, e, after, (select(2, s:sslhandshake()))";
    assert_eq!(
        say(lua),
        json!([null, "certificate host mismatch", "closed", "closed"])
    );
    // twice on one connection: the same session
    assert_eq!(
        say(
            "local s, one = over('a.test', true) return s:sslhandshake(one, 'a.test', true) == one, s:getsslsession()"
        ),
        json!([true, "cdata"])
    );
}

#[test]
fn d03_untrusted_certificates_are_refused_in_openssl_words() {
    let tls = Tls::start();
    let alone = Ca::new("Stranger");
    let up = TlsUpstream::start(&Options::new(&alone.issue(&Leaf::named("a.test"))));
    let refused = tls.says(up.port, &format!("{OVER} return over('a.test', true)"));
    let why = refused[1].as_str().unwrap();
    assert!(
        [
            "20: unable to get local issuer certificate",
            "19: self-signed certificate in certificate chain"
        ]
        .contains(&why),
        "{why}"
    );
    let up = TlsUpstream::start(&Options::new(&alone.cert));
    let refused = tls.says(up.port, &format!("{OVER} return over('Stranger', true)"));
    assert_eq!(refused, json!([null, "18: self-signed certificate"]));
    assert_eq!(
        tls.says(up.port, &format!("{OVER} return (over('x', false)) ~= nil")),
        json!([true])
    );
    // a peer that speaks no TLS, one that closes, one that says nothing
    let plain = Origin::raw(|mut conn| conn.send("HTTP/1.1 400 Bad Request\r\n\r\n"));
    assert_eq!(
        tls.says(plain.port, &format!("{OVER} return over('a.test', true)")),
        json!([null, "handshake failed"])
    );
    let closes = Origin::raw(|_| {});
    assert_eq!(
        tls.says(closes.port, &format!("{OVER} return over('a.test', true)")),
        json!([null, "handshake failed"])
    );
    let silent = Origin::raw(|mut conn| drop(conn.take(usize::MAX)));
    let lua =
        "local s = ngx.socket.tcp() s:settimeout(50) s:connect('127.0.0.1', port) return s:sslhandshake()";
    assert_eq!(tls.says(silent.port, lua), json!([null, "timeout"]));
}

#[test]
fn d03_sessions_are_resumed_by_who_has_them() {
    for version in [Options::tls12 as fn(Options) -> Options, Options::tls13] {
        let tls = Tls::start();
        let up = TlsUpstream::start(&version(Options::new(&tls.leaf("a.test"))));
        let lua = "local s, session = over('a.test', true) local first = ask(s).resumed s:close()
            local again = over('a.test', true, session) local second = ask(again).resumed again:close()
            local other = over('a.test', false, session) local third = ask(other).resumed other:close()
            local none = over('a.test', true) return first, second, third, ask(none).resumed";
        let got = tls.says(up.port, &format!("{OVER} {lua}"));
        assert_eq!(
            got,
            json!([false, true, false, false]),
            "another question resumes nothing"
        );
    }
}

#[test]
fn d03_client_certificates_are_shown() {
    let tls = Tls::start();
    let up = TlsUpstream::start(&Options::new(&tls.leaf("a.test")).demanding());
    let (one, other) = (tls.leaf("one"), tls.leaf("other"));
    let lua = |cert: &Cert, key: &Cert| {
        format!(
            "local ssl = require('ngx.ssl') local s = ngx.socket.tcp() s:settimeout(2000)
             assert(s:setclientcert(ssl.parse_pem_cert({}), ssl.parse_pem_priv_key({})))
             s:connect('127.0.0.1', port) local ok, err = s:sslhandshake(nil, 'a.test', true)
             if not ok then return nil, err end return ask(s).client.subject",
            quoted(&cert.chain_pem()),
            quoted(&key.key_pem())
        )
    };
    assert_eq!(tls.says(up.port, &lua(&one, &one)), json!(["one"]));
    assert_eq!(tls.says(up.port, &lua(&other, &other)), json!(["other"]));
    assert_eq!(
        tls.says(up.port, &lua(&one, &other)),
        json!([null, "ssl set client private key failed"])
    );
}

/// However handlers with different questions share a pool, each gets an answer to its own.
#[test]
fn d03_pools_never_mix_identities_or_trust() {
    let tls = Tls::start();
    let up = TlsUpstream::start(&Options::new(&tls.leaf("a.test")).asking());
    let certs: Vec<Cert> = ["one", "two", "three"]
        .iter()
        .map(|name| tls.leaf(name))
        .collect();
    let mut seed = 11u32;
    let mut random = move |below: usize| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 16) as usize % below
    };
    for _ in 0..150 {
        let who = random(certs.len() + 1);
        let late = random(2) == 0;
        let show = certs.get(who).map_or(String::new(), |cert| {
            format!(
                "s:setclientcert(ssl.parse_pem_cert({}), ssl.parse_pem_priv_key({}))",
                quoted(&cert.pem()),
                quoted(&cert.key_pem())
            )
        });
        let (early, late) = if late {
            (String::new(), show)
        } else {
            (show, String::new())
        };
        let name = ["a.test", "b.test", "a.test"][random(3)];
        let verify = random(2) == 0;
        let lua = format!(
            "local ssl = require('ngx.ssl') local s = ngx.socket.tcp() s:settimeout(3000) {early}
             assert(s:connect('127.0.0.1', port)) {late}
             local ok, err = s:sslhandshake(nil, '{name}', {verify}) if not ok then return err end
             local r = ask(s) local n = s:getreusedtimes() assert(s:setkeepalive())
             return type(r.client) == 'table' and r.client.subject or 'nobody', r.sni, n"
        );
        let said = tls.says(up.port, &lua);
        if verify && name == "b.test" {
            assert_eq!(said, json!(["certificate host mismatch"]));
            continue;
        }
        let subject = certs.get(who).map_or("nobody".to_owned(), Cert::common_name);
        assert_eq!(
            (&said[0], &said[1]),
            (&json!(subject), &json!(name)),
            "verify {verify}"
        );
    }
    let connections = up.accepted();
    assert!(connections < 130, "{connections} connections: nothing is reused");
}

/// A plugin of our own that sends a datagram for each request, as the loggers do: from a timer.
const LOGGER: &str = "local P = { PRIORITY = 1, VERSION = '1.0.0' }
    function P:log(conf)
      local ok, err = pcall(ngx.socket.udp)
      ngx.timer.at(0, function(_, line)
        local sock = ngx.socket.udp()
        sock:settimeout(1000)
        assert(sock:setpeername('localhost', conf.n))
        assert(sock:send({ line, '\\n' }))
        local answer = sock:receive()
        assert(answer == 'heard', answer)
        sock:close()
        ngx.log(ngx.NOTICE, 'answered: ', answer)
      end, ngx.var.request_uri .. ' ' .. tostring(ok) .. ' ' .. tostring(err))
    end
    return P";

#[test]
fn d03_datagrams_leave_from_timers() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let origin = Origin::echo();
    let port = server.local_addr().unwrap().port();
    let config = crate::support::with(
        crate::support::service(origin.port),
        "dgram",
        json!({ "n": port }),
    );
    let gateway = Setup::new(&config).plugin("dgram", LOGGER).start();
    for i in 0..20 {
        gateway.get(&format!("/n{i}"), &[]).is(200);
        let mut buffer = [0; 2048];
        let (n, from) = server.recv_from(&mut buffer).unwrap();
        server.send_to(b"heard", from).unwrap();
        let line = String::from_utf8_lossy(&buffer[..n]).into_owned();
        assert_eq!(
            line,
            format!("/n{i} false API disabled in the context of log_by_lua*\n")
        );
    }
    gateway.logged("answered: heard");
}

#[test]
fn d03_sockets_end_with_their_request() {
    let origin = Origin::echo();
    let silent = Origin::raw(|mut conn| drop(conn.take(usize::MAX)));
    let gateway = Setup::probe(origin.port)
        .set("nginx_proxy_lua_check_client_abort", "on")
        .start();
    gateway.access("kong.response.exit(200)").is(200);
    let before = gateway.descriptors();
    let open = format!(
        "kept = kept or {{}} for i = 1, 10 do local s = ngx.socket.connect('127.0.0.1', {}) kept[#kept + 1] = s
         local u = ngx.socket.udp() u:setpeername('127.0.0.1', 9) kept[#kept + 1] = u end ",
        silent.port
    );
    // by its end, by an error, by an exit in the middle of a wait, by the client's going away
    for end in ["", "error('x')", "ngx.exit(403)"] {
        gateway.access(&(open.clone() + end));
    }
    for _ in 0..3 {
        let mut client = gateway.connect();
        let code = crate::support::gateway::one_line(
            &(open.clone()
                + "kept[1]:settimeout(60000) local s = kept[#kept - 1] s:settimeout(60000) s:receive()"),
        );
        client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nX-Access: {code}\r\n\r\n"));
        std::thread::sleep(Duration::from_millis(100));
        drop(client);
    }
    assert!(
        eventually(Duration::from_secs(5), || gateway.descriptors() <= before + 2),
        "{} descriptors, {before} before",
        gateway.descriptors()
    );
    let again = gateway.access("kong.response.exit(200, { pcall(kept[1].send, kept[1], 'x') })");
    assert_eq!(again.is(200).json(), json!([true, null, "closed"]));
}

/// A subrequest's sockets live as long as the client's request, and are nobody else's.
#[test]
fn d03_sockets_of_a_subrequest_end_with_the_client_s_request() {
    let origin = Origin::echo();
    let silent = Origin::raw(|mut conn| drop(conn.take(usize::MAX)));
    let gateway = Setup::probe(origin.port).start();
    let port = silent.port;
    let uses = "(function(out, s) local function add(...) out[#out + 1] = tostring((select(2, ...))):match('[^:]*$') end
        add(pcall(s.send, s, 'x')) add(pcall(s.receive, s)) add(pcall(s.close, s)) add(pcall(s.setkeepalive, s))
        add(pcall(s.connect, s, '127.0.0.1', 1)) add(s:sslhandshake()) add(s:settrustedstore())
        add(pcall(kept_udp.send, kept_udp, 'x')) out[#out + 1] = type(s:getoption('keepalive')) return out end)";
    let first = format!(
        "kept = ngx.socket.tcp() assert(kept:connect('127.0.0.1', {port}))
         kept_udp = ngx.socket.udp() kept_udp:setpeername('127.0.0.1', 9) ngx.exit(200)"
    );
    let second = format!("kong.response.exit(200, {uses}({{}}, kept))");
    let main = format!(
        "if ngx.is_subrequest then return load(ngx.req.get_uri_args().code)() end
         local function sub(code) return ngx.location.capture('/', {{ args = {{ code = code }} }}) end
         assert(sub(ngx.req.get_headers().x_first).status == 200)
         local res = sub(ngx.req.get_headers().x_second)
         kong.response.exit(200, {{ res.body, {uses}({{}}, kept) }})"
    );
    let line = crate::support::gateway::one_line;
    let (first, second, main) = (line(&first), line(&second), line(&main));
    let headers = [("X-Access", &*main), ("X-First", &*first), ("X-Second", &*second)];
    let said = gateway.get("/", &headers).is(200).json();
    let mut bad: Vec<&str> = vec!["bad request"; 5];
    bad.extend(["bad request", "bad request", "bad request", "number"]);
    assert_eq!(said[1], json!(bad));
    assert_eq!(
        serde_json::from_str::<Value>(said[0].as_str().unwrap()).unwrap(),
        json!(bad)
    );
    // and it ends with that request
    let again = format!("kong.response.exit(200, {uses}({{}}, kept))");
    let said = gateway.access(&line(&again)).is(200).json();
    assert_eq!(said[0], "nil");
    assert_eq!(said[5], "closed");
}

/// One light thread reads what another writes, over TLS and without: neither waits for the other.
#[test]
fn d03_a_socket_is_read_while_it_is_written() {
    let tls = Tls::start();
    let up = TlsUpstream::start(&Options::new(&tls.leaf("a.test")));
    let plain = Origin::raw(|mut conn| {
        while let Some(bytes) = conn.take(8192) {
            conn.send(bytes);
        }
    });
    // more than both kernels hold for either side
    let lua = "local s = ngx.socket.tcp() s:settimeout(5000) assert(s:connect('127.0.0.1', port))
        local total = 8192 * 1500
        local writer = ngx.thread.spawn(function() local piece = ('x'):rep(8192)
          for _ = 1, 1500 do assert(s:send(piece)) end return 'written' end)
        local n = 0
        local reader = ngx.thread.spawn(function()
          while n < total do n = n + #assert(s:receiveany(65536)) end return 'read' end)
        local _, w = ngx.thread.wait(writer) local _, r = ngx.thread.wait(reader)
        return w, r, n == total";
    assert_eq!(tls.says(plain.port, lua), json!(["written", "read", true]));
    let lua = "local s = over('a.test', true)
        local reader = ngx.thread.spawn(function() return ask(setmetatable({ send = function() end },
          { __index = function(_, k) return function(_, ...) return s[k](s, ...) end end })).target end)
        local busy = { s:receive() }
        s:send('GET /duplex HTTP/1.1\\r\\nHost: a.test\\r\\n\\r\\n')
        local _, target = ngx.thread.wait(reader)
        return target, busy[2], s:close()";
    assert_eq!(
        tls.says(up.port, &format!("{OVER} {lua}")),
        json!(["/duplex", "socket busy reading", 1])
    );
}

#[test]
fn d03_a_thread_that_is_killed_closes_what_it_waits_on() {
    let tls = Tls::start();
    let silent = Origin::raw(|mut conn| drop(conn.take(usize::MAX)));
    let lua = "local s = ngx.socket.tcp() s:settimeout(5000) assert(s:connect('127.0.0.1', port))
        local t = ngx.thread.spawn(function() return s:receive() end)
        local busy = select(2, s:close()) ngx.thread.kill(t) return busy, select(2, s:send('x'))";
    assert_eq!(
        tls.says(silent.port, lua),
        json!(["socket busy reading", "closed"])
    );
}
