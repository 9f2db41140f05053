//! `ngx.errlog` with `lua_capture_error_log`: a worker's lines, read back by its Lua.

use crate::support::{Gateway, Setup, free_port};

fn gateway(size: &str) -> Setup {
    let echo = free_port();
    Setup::probe(echo)
        .set("moongate_echo_listen", &format!("127.0.0.1:{echo}"))
        .set("nginx_worker_processes", "1")
        .set("log_level", "info")
        .set("nginx_http_lua_capture_error_log", size)
}

/// What `lua` says, with `errlog` and `show`, which gives level and end of each captured line that matches.
fn say(gateway: &Gateway, lua: &str) -> String {
    let lua = format!(
        "local errlog = require 'ngx.errlog'
         local function show(max, into)
           local logs, err = errlog.get_logs(max, into)
           local out = {{}}
           for i = 1, #(logs or {{}}), 3 do
             local found = logs[i + 2]:match(': (mark.-),')
             if found then out[#out + 1] = logs[i] .. found end
           end
           return logs and table.concat(out, ' ') or err
         end
         kong.response.exit(200, tostring(((function() {lua} end)())))"
    );
    gateway.access(&lua).is(200).text()
}

#[test]
fn d04_captured_lines_are_read_once_and_in_order() {
    let gateway = gateway("64k").start();
    let mark = "for _, l in ipairs { 'INFO', 'WARN', 'ERR' } do ngx.log(ngx[l], 'mark') end errlog.raw_log(3, ': mark, raw') ";
    let all = "7mark 5mark 4mark 3mark";
    assert_eq!(say(&gateway, &format!("{mark} return show(100)")), all);
    assert_eq!(say(&gateway, "return show(100)"), "");
    // another request reads them, and only as many as it wants
    say(&gateway, mark);
    assert_eq!(
        say(&gateway, "return show(1) .. '/' .. show(2) .. '/' .. show()"),
        "7mark/5mark 4mark/3mark"
    );

    let line = say(
        &gateway,
        "ngx.log(ngx.ERR, 'mark') local before = ngx.now() local l = errlog.get_logs()
         assert(#l == 3 and math.abs(l[2] - before) < 1) return l[3]",
    );
    let (head, rest) = line.split_once(" [error] ").unwrap();
    assert!(head.len() == 19 && !rest.ends_with('\n'), "{line}");
    assert!(
        rest.contains("[lua] probe_access:1: ") && rest.contains(": mark, client: 127.0.0.1, server: kong, "),
        "{line}"
    );

    // a table of the caller's ends where the lines do
    let reused =
        "ngx.log(ngx.ERR, 'mark') local t = { 1, 2, 3, 4, 5, 6, 7 } errlog.get_logs(10, t) return #t";
    assert_eq!(say(&gateway, reused), "3");
    assert_eq!(
        say(
            &gateway,
            "local t = { 1 } return errlog.get_logs(0, t) == t and #t"
        ),
        "1"
    );

    say(&gateway, "assert(errlog.set_filter_level(ngx.WARN))");
    assert_eq!(
        say(&gateway, &format!("{mark} return show(100)")),
        "5mark 4mark 3mark"
    );
    let bad = "local function f(v) return tostring(select(2, errlog.set_filter_level(v))) end
               return f(9) .. '/' .. f(-1) .. '/' .. f(nil)";
    assert_eq!(
        say(&gateway, bad),
        "bad log level: 9/bad log level: -1/missing \"level\" argument"
    );
}

#[test]
fn d04_captured_lines_stay_within_their_bytes() {
    let gateway = gateway("4096").start();
    let flood = "for i = 1, 2000 do ngx.log(ngx.ERR, 'mark', i) end
                 local logs, bytes = errlog.get_logs(5000), 0
                 for i = 3, #logs, 3 do bytes = bytes + #logs[i] + 16 end
                 return (bytes <= 4096 and bytes > 3000) and logs[#logs]:match(': (mark%d+)')";
    assert_eq!(say(&gateway, flood), "mark2000");
    let (_, said) = self::gateway("4095").refused();
    assert!(said.contains("nginx_http_lua_capture_error_log"), "{said}");
    let (_, said) = self::gateway("much").refused();
    assert!(said.contains("nginx_http_lua_capture_error_log"), "{said}");
}
