//! Child processes over real requests: they end with who started them.

use std::time::Duration;

use crate::support::{Setup, eventually};

fn lives(pid: &str) -> bool {
    // a zombie is one that nobody reaped
    std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).is_ok()
}

#[test]
fn d03_a_process_ends_with_its_request() {
    let gateway = Setup::probe(1).set("nginx_worker_processes", "1").start();
    let r = gateway.access(
        "local p = assert(require('ngx.pipe').spawn({ 'sleep', '60' })) ngx.ctx.p = p \
         kong.response.exit(200, tostring(p:pid()))",
    );
    let pid = r.is(200).text();
    assert!(
        eventually(Duration::from_secs(5), || !lives(&pid)),
        "{pid} lives on"
    );
    let r = gateway.access(
        "local p = assert(require('ngx.pipe').spawn('read x; echo got $x')) p:write('it\\n') \
         local line = p:stdout_read_line() local ok, why, code = p:wait() \
         kong.response.exit(200, line .. ' ' .. tostring(ok) .. ' ' .. why .. ' ' .. code)",
    );
    assert_eq!(r.is(200).text(), "got it true exit 0");
}

#[test]
fn d03_a_process_ends_with_the_gateway() {
    let mut gateway = Setup::probe(1).set("nginx_worker_processes", "1").start();
    let r = gateway.access(
        "ngx.timer.at(0, function() local p = assert(require('ngx.pipe').spawn({ 'sleep', '60' })) \
         ngx.shared.kong:set('pid', p:pid()) p:wait() end) \
         local pid repeat ngx.sleep(0.01) pid = ngx.shared.kong:get('pid') until pid \
         kong.response.exit(200, tostring(pid))",
    );
    let pid = r.is(200).text();
    assert!(lives(&pid));
    gateway.signal("TERM");
    gateway.wait(Duration::from_secs(5)).expect("it goes on");
    assert!(
        eventually(Duration::from_secs(5), || !lives(&pid)),
        "{pid} lives on"
    );
}

#[test]
fn d03_a_long_line_costs_as_much_as_it_is_long() {
    let gateway = Setup::probe(1).set("nginx_worker_processes", "1").start();
    let began = std::time::Instant::now();
    let r = gateway.access(
        "local p = assert(require('ngx.pipe').spawn('head -c 16777216 /dev/zero | tr \"\\\\0\" a; echo; echo b')) \
         local one, two = p:stdout_read_line(), p:stdout_read_line() \
         kong.response.exit(200, #one .. ' ' .. two)",
    );
    assert_eq!(r.is(200).text(), "16777216 b");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}
