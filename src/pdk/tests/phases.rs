//! The phase check and its messages.

use super::Bench;
use crate::exchange::Phase;
use crate::vm::{Flow, Scope};

const HEAD: &str = "GET / HTTP/1.1\nHost: a";

#[test]
fn a11_wrong_phase_is_kongs_error() {
    let bench = Bench::get(HEAD);
    bench.ok(
        Phase::Log,
        "raises('plugins/plugin.lua:1: function cannot be called in log phase (only in: access)', kong.service.set_upstream, 'x')"
            .replace("kong.service.set_upstream, 'x'", "function() kong.service.set_upstream('x') end")
            .as_str(),
    );
    bench.ok(
        Phase::Log,
        "raises('function cannot be called in log phase (only in: rewrite, access, balancer, preread)',
            kong.service.set_target, 'x', 1)
         raises('function cannot be called in log phase (only in: rewrite, access, balancer, response, header_filter, error, admin_api)',
            kong.response.exit, 200)",
    );
    bench.ok(
        Phase::Certificate,
        "raises('function cannot be called in certificate phase (only in: rewrite, access, balancer, response, cluster_listener, header_filter, body_filter, log, error, admin_api)',
            kong.request.get_method)
         assert(kong.client.get_ip())",
    );
}

#[test]
fn a11_ngx_ctx_kong_phase_overrides() {
    let bench = Bench::get(HEAD);
    bench.ok(
        Phase::Log,
        "local scope, phases = require 'moongate.scope', require 'kong.pdk.private.phases'
         scope.ctx().KONG_PHASE = phases.phases.access
         kong.service.set_target('x', 80)
         scope.ctx().KONG_PHASE = 0x4
         raises([[function cannot be called in 'unknown phase' phase (only in: access)]], kong.service.set_retries, 1)
         scope.ctx().KONG_PHASE = nil
         raises('unknown phase or phase alias: nope', function() return phases.phases.nope end)",
    );
}

#[test]
fn a11_no_phase_in_timers_and_none_in_init_worker() {
    let bench = Bench::get(HEAD);
    let run = |phase, src: &str| {
        let scope = Scope::new(&bench.vm, phase, None);
        let f = bench
            .vm
            .keep(bench.vm.lua().load(src).into_function().unwrap())
            .unwrap();
        let flow = bench.vm.run_now(&scope, f, &[]);
        assert!(matches!(flow, Flow::Done), "{flow:?}");
    };
    run(
        Phase::Timer,
        "raises('no phase in ngx.ctx.KONG_PHASE, (need one of access)', kong.service.set_retries, 1)
         raises('no phase in ngx.ctx.KONG_PHASE', kong.client.get_ip)
         kong.log.err('still works')
         kong.ctx.shared.x = 1
         eq(kong.ctx.shared.x, 1)",
    );
    run(
        Phase::InitWorker,
        "raises('function cannot be called in init_worker phase (can be called in any phases except: init_worker)',
            kong.client.get_ip)",
    );
    // A unit test of a plugin may bring a `kong` of its own.
    run(
        Phase::Timer,
        "local real = kong kong = nil
         local ok, err = pcall(real.service.set_retries, 1)
         kong = real
         assert(ok, err)",
    );
}
