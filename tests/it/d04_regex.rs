//! `ngx.re` under the settings that bound it, and in the phases.

use crate::support::Setup;
use crate::support::gateway::one_line;

/// What the access phase prints for a chunk.
fn says(setup: Setup, chunk: &str) -> String {
    let gateway = setup.start();
    let r = gateway.get("/", &[("x-access", &one_line(chunk))]);
    r.is(200).text()
}

const BACKTRACKS: &str = "for _, opts in ipairs { '', 'jo' } do
    ngx.say(ngx.re.find(('a'):rep(25) .. 'b', '^(a+)+$', opts)) end";

#[test]
fn d04_backtracking_ends_at_the_setting() {
    let failed = "nilnilpcre_exec() failed: -47\n";
    assert_eq!(says(Setup::probe(1), BACKTRACKS), failed.repeat(2));
    let low = Setup::probe(1).set("nginx_http_lua_regex_match_limit", "50");
    let chunk =
        "ngx.say(ngx.re.find(('a'):rep(10) .. 'b', '^(a+)+$', '')) ngx.say(ngx.re.find('abc', 'b', 'jo'))";
    assert_eq!(says(low, chunk), format!("{failed}22\n"));
}

#[test]
fn d04_a_small_cache_and_none_find_the_same() {
    let chunk = "local iterators = {}
        for i = 1, 300 do
          local it = ngx.re.gmatch('n' .. i .. ' n' .. i, 'n' .. i, 'jo')
          assert(it()[0] == 'n' .. i)
          iterators[i] = it
          local s, n = ngx.re.gsub('n' .. i, 'n' .. i, function(m) return m[0] .. '!' end, 'jo')
          assert(s == 'n' .. i .. '!' and n == 1)
        end
        collectgarbage() collectgarbage()
        for i = 1, 300 do assert(iterators[i]()[0] == 'n' .. i) assert(iterators[i]() == nil) end
        ngx.say('same')";
    for entries in ["8192", "3", "1", "0"] {
        let setup = Setup::probe(1).set("nginx_http_lua_regex_cache_max_entries", entries);
        assert_eq!(says(setup, chunk), "same\n", "{entries} entries");
    }
}

#[test]
fn d04_requests_share_patterns_without_mixing() {
    let gateway = Setup::probe(1).set("nginx_worker_processes", "1").start();
    let chunk = one_line(
        "local id = ngx.var.arg_id
        local s = ngx.re.gsub('abc', '[a-z]', function(m) ngx.sleep(0.002) return m[0] .. id end, 'jo')
        ngx.print(s)",
    );
    std::thread::scope(|scope| {
        for id in 0..20 {
            let (gateway, chunk) = (&gateway, &chunk);
            scope.spawn(move || {
                let r = gateway.get(&format!("/?id={id}"), &[("x-access", chunk)]);
                assert_eq!(r.is(200).text(), format!("a{id}b{id}c{id}"));
            });
        }
    });
}
