//! D2: what `ngx.exit` leads to, phase by phase.

use crate::support::{Origin, Setup};

#[test]
fn d02_exit_answers_by_phase_and_status() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port).start();
    let ask = |phase: &str, lua: &str| gateway.get("/", &[(phase, lua)]);
    for phase in ["X-Rewrite", "X-Access"] {
        for status in [301u16, 401, 403, 404, 429, 500, 503] {
            let r = ask(phase, &format!("ngx.exit({status})"));
            assert_eq!(r.status, status, "{phase}");
            assert!(!r.text().is_empty(), "{phase} {status}");
        }
        assert_eq!(ask(phase, "ngx.exit(200)").text(), "");
        assert_eq!(ask(phase, "ngx.print('a') ngx.exit(404)").is(200).text(), "a");
        assert_eq!(
            ask(phase, "ngx.status = 207 ngx.print('a') ngx.exit(200)")
                .is(207)
                .text(),
            "a"
        );
        // what is no error of its own says nothing about the status that was sent
        let r = ask(phase, "ngx.status = 401 ngx.print('a') ngx.exit(200)");
        assert_eq!((r.status, &*r.text()), (401, "a"));
        assert!(!gateway.errors().contains("attempt to set status 200"));
        ask(phase, "ngx.status = 401 ngx.print('a') ngx.exit(403)").is(401);
        gateway.logged("attempt to set status 403 via ngx.exit after sending out the response status 401");
        // the phase is over, the request goes on
        let before = origin.seen().len();
        assert!(
            ask(phase, "ngx.exit(ngx.OK)")
                .is(200)
                .header("x-kong-upstream-latency")
                .is_some()
        );
        ask(phase, "ngx.exit(ngx.DECLINED)").is(200);
        assert_eq!(origin.seen().len(), before + 2);
        // nothing is answered where nobody is there, or is to be
        for (code, logged) in [("408", 408), ("444", 444), ("499", 499), ("ngx.ERROR", 0)] {
            let mut client = gateway.connect();
            client.send(format!(
                "GET /{code} HTTP/1.1\r\nHost: a\r\n{phase}: ngx.exit({code})\r\n\
                 X-Log: kong.log.err('CLOSED {phase} {code} ', ngx.status, '.')\r\n\r\n"
            ));
            assert!(client.try_answer(false).is_none(), "{code}");
            gateway.logged(&format!("CLOSED {phase} {code} {logged}."));
        }
        assert_eq!(ask(phase, "ngx.print('a') ngx.exit(408)").text(), "a");
    }
    let r = ask("X-Header-Filter", "ngx.header['X-Gone'] = '1' ngx.exit(403)").is(403);
    assert!(r.header("x-gone").is_none() && r.text().contains("403 Forbidden"));
    ask("X-Header-Filter", "ngx.exit(ngx.OK)").is(200);
    ask("X-Log", "local ok, err = pcall(ngx.exit, 200) kong.log.err(err)").is(200);
    gateway.logged("API disabled in the context of log_by_lua*");
}

#[test]
fn d02_an_own_answer_that_the_client_has_is_not_sent_again() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port).start();
    let ask = |name: &str, value: &str| {
        let code = "kong.response.exit(200, 'body', { ETag = '\"x\"', ['Content-Type'] = 'a/b' })";
        gateway.get(
            "/",
            &[
                ("X-Access", code),
                (name, value),
                ("X-Header-Filter", "ngx.header.seen = ngx.status"),
            ],
        )
    };
    let r = ask("If-None-Match", "\"x\"").is(304);
    assert_eq!(
        (
            &*r.text(),
            r.header("seen"),
            r.header("etag"),
            r.header("content-type")
        ),
        ("", Some("304"), Some("\"x\""), None)
    );
    assert_eq!(ask("If-None-Match", "\"y\"").is(200).text(), "body");
    let r = ask("If-Match", "\"y\"").is(412);
    assert_eq!((r.header("seen"), r.header("etag")), (Some("412"), None));
    // what an upstream answers is its own to judge
    gateway
        .get(
            "/",
            &[
                ("If-None-Match", "*"),
                ("X-Header-Filter", "ngx.header.etag = '\"x\"'"),
            ],
        )
        .is(200);
}
