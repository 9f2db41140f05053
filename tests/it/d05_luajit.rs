//! LuaJIT as plugins know it, over real requests: writes of globals, what would reach beyond the plugin.

use crate::support::Setup;

#[test]
fn d05_writing_a_global_is_warned_about_once() {
    let plugin = "at_load = 1 return { PRIORITY = 1, VERSION = '1.0.0', access = function() end }";
    let gateway = Setup::probe(1)
        .plugin("writer", plugin)
        .set("nginx_worker_processes", "1")
        .start();
    for n in 1..=3 {
        let r = gateway
            .access("some_global = (some_global or 0) + 1 kong.response.exit(200, tostring(some_global))");
        assert_eq!(r.is(200).text(), n.to_string());
    }
    gateway.logged("which may lead to race conditions");
    let log = gateway.errors();
    let warnings: Vec<&str> = log.lines().filter(|l| l.contains("writing a global")).collect();
    let [warning] = warnings[..] else {
        panic!("{log}");
    };
    assert!(
        warning.contains("[warn]")
            && warning.contains("[lua] _G write guard:")
            && warning.contains(
                "writing a global Lua variable ('some_global') which may lead to race conditions between \
                 concurrent requests, so prefer the use of 'local' variables"
            ),
        "{warning}"
    );
    assert!(log.contains("stack traceback:"), "{log}");
    assert!(!log.contains("at_load"), "{log}");
}

#[test]
fn d05_a_plugin_cannot_end_the_gateway() {
    let gateway = Setup::probe(1).start();
    let r = gateway.access("local ok, err = pcall(os.exit, 0) kong.response.exit(200, tostring(ok) .. err)");
    let text = r.is(200).text();
    assert!(
        text.contains("falsenot supported: os.exit: a plugin cannot end the gateway"),
        "{text}"
    );
    gateway.access("os.exit(1, true)").is(500);
    gateway.logged("not supported: os.exit");
    let r =
        gateway.access("kong.response.exit(200, tostring(os.setlocale('de_DE.UTF-8')) .. os.setlocale())");
    assert_eq!(r.is(200).text(), "nilC");
    gateway.access("kong.response.exit(204)").is(204);
}
