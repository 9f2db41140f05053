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
        assert_eq!(ask(phase, "ngx.exit(ngx.ERROR)").status, 500);
        assert_eq!(ask(phase, "ngx.exit(200)").text(), "");
        assert_eq!(ask(phase, "ngx.print('a') ngx.exit(404)").is(200).text(), "a");
        assert_eq!(
            ask(phase, "ngx.status = 207 ngx.print('a') ngx.exit(200)")
                .is(207)
                .text(),
            "a"
        );
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
        let mut client = gateway.connect();
        client.send(format!(
            "GET / HTTP/1.1\r\nHost: a\r\n{phase}: ngx.exit(444)\r\n\r\n"
        ));
        assert!(client.try_answer(false).is_none());
    }
    let r = ask("X-Header-Filter", "ngx.header['X-Gone'] = '1' ngx.exit(403)").is(403);
    assert!(r.header("x-gone").is_none() && r.text().contains("403 Forbidden"));
    ask("X-Header-Filter", "ngx.exit(ngx.OK)").is(200);
    ask("X-Log", "local ok, err = pcall(ngx.exit, 200) kong.log.err(err)").is(200);
    gateway.logged("API disabled in the context of log_by_lua*");
}
