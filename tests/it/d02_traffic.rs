//! D2: `ngx.var.upstream_bytes_received` and `upstream_bytes_sent`, by try.

use crate::support::certs::{Ca, Leaf};
use crate::support::{Origin, Setup, TlsUpstream, free_port};

const LOG: &str =
    "kong.log.warn('BYTES ', ngx.var.upstream_bytes_received, '; ', ngx.var.upstream_bytes_sent, '.')";

#[test]
fn d02_bytes_of_each_try_are_counted() {
    let origin = Origin::replying(|seen| match seen.line() {
        line if line.contains("/chunked") => {
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".to_vec()
        }
        line if line.contains("/empty") => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        line if line.contains("/long") => [
            b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n",
            &[b'x'; 300_000][..],
        ]
        .concat(),
        _ => b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec(),
    });
    let gateway = Setup::probe(origin.port).start();
    let mut client = gateway.connect();
    // on one kept connection, each by itself
    let mut nth = 0;
    for (path, received) in [("/chunked", 62), ("/empty", 27), ("/long", 300_043), ("/x", 40)] {
        for method in ["GET", "POST"] {
            nth += 1;
            let body: &[u8] = if method == "POST" { b"some body" } else { b"" };
            let n = format!("n={nth}");
            let log = LOG.replace("BYTES", &format!("BYTES{nth}"));
            client.ask(method, &format!("{path}?{n}"), &[("X-Log", &log)], body);
            let line = gateway.logged(&format!("BYTES{nth} "));
            let sent = origin.last().head.len() + body.len();
            assert!(
                line.contains(&format!(" {received}; {sent}.")),
                "{path} {sent} {line}"
            );
        }
    }
    // a body that the response phase has whole, and none
    let lua = "kong.service.request.enable_buffering()";
    client.ask(
        "GET",
        "/chunked",
        &[("X-Access", lua), ("X-Log", &LOG.replace("BYTES", "WHOLE"))],
        b"",
    );
    assert!(
        gateway
            .logged("WHOLE ")
            .contains(&format!(" 62; {}.", origin.last().head.len()))
    );
    let lua = "ngx.say(ngx.var.upstream_bytes_received, ngx.var.upstream_bytes_sent) ngx.exit(200)";
    assert_eq!(gateway.get("/", &[("X-Access", lua)]).text(), "nilnil\n");
}

#[test]
fn d02_bytes_of_tries_that_fail_are_counted() {
    let closing = Origin::raw(|mut conn| {
        conn.head();
        conn.send("HTTP/1.1 20");
    });
    let origin = Origin::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let gateway = Setup::probe(closing.port).start();
    let lua = format!(
        "kong.service.set_retries(2) kong.service.set_target('127.0.0.1', {}) local n = 0 \
         kong.service.set_target_retry_callback(function() n = n + 1 \
         kong.service.set_target('127.0.0.1', n == 1 and {} or {}) return true end)",
        free_port(),
        closing.port,
        origin.port
    );
    gateway.get("/", &[("X-Access", &lua), ("X-Log", LOG)]).is(200);
    let line = gateway.logged("BYTES ");
    let sent = origin.last().head.len();
    // the name of the Host is the address that is tried
    let first = sent + closing.port.to_string().len() - origin.port.to_string().len();
    assert!(
        line.contains(&format!("BYTES 0, 11, 40; 0, {first}, {sent}.")),
        "{sent} {line}"
    );
}

#[test]
fn d02_bytes_beneath_tls_are_not_counted() {
    let ca = Ca::new("Root");
    let options = crate::support::tls_upstream::Options::new(&ca.issue(&Leaf::named("up.test")));
    let upstream = TlsUpstream::start(&options);
    let gateway = Setup::probe(upstream.port).start();
    let lua = "ngx.var.upstream_scheme = 'https'";
    let r = gateway.get("/", &[("X-Access", lua), ("X-Log", LOG)]).is(200);
    let line = gateway.logged("BYTES ");
    let received = line.split("BYTES ").nth(1).unwrap().split(';').next().unwrap();
    let received: usize = received.parse().unwrap();
    assert!(received > r.body.len() && received < r.body.len() + 400, "{line}");
}

#[test]
fn d02_the_folder_of_nginx_s_root_is_that_of_the_prefix() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port).start();
    let show = "local v = ngx.var kong.response.exit(200, table.concat({ v.document_root, tostring(v.realpath_root), \
                v.request_filename, ngx.config.prefix() }, '|'))";
    let ask = || gateway.get("/a/b?c", &[("X-Access", show)]).is(200).text();
    let text = ask();
    let parts: Vec<&str> = text.split('|').collect();
    let root = format!("{}html", parts[3]);
    assert_eq!(parts[..3], [root.as_str(), "nil", &format!("{root}/a/b")]);
    gateway.logged(&format!(
        "realpath() \"{root}\" failed (2: No such file or directory)"
    ));
    std::fs::create_dir(&root).unwrap();
    let real = std::fs::canonicalize(&root).unwrap();
    assert_eq!(ask().split('|').nth(1), real.to_str());
}
