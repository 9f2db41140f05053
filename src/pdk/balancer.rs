//! `ngx.ctx.balancer_data`: what Lua is told of the exchange's target, and what is taken back from it.
//!
//! Must not: choose where a try goes (`proxy::choose` does).

use std::rc::Rc;
use std::time::Duration;

use mlua::{Function, Table};

use super::serialize::push_tries;
use crate::vm::state::Func;
use crate::vm::{Args, Fault, Flow, Registrar, Ret, Scope, Vm, op, scope};

const ROOM: &str = "moongate.balancer";

/// The longest time limit that Kong knows, ms.
const LONGEST_MS: f64 = 2_147_483_646.0;

/// # Errors
/// When Lua is out of memory.
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op(ROOM, "target", op::raw(target))?;
    r.op(ROOM, "outcome", op::raw(outcome))?;
    r.op(ROOM, "is_stale", op::raw(is_stale))?;
    r.op(ROOM, "apply", op::raw(apply))?;
    r.op(ROOM, "set_hash_value", op::raw(set_hash_value))?;
    r.module("moongate.balancer", crate::embed!("balancer.lua"))
}

/// The kept Lua functions that the proxy calls around tries.
#[derive(Debug, Clone)]
pub struct Calls {
    read_back: Func,
    retry: Func,
    hash_consumer: Func,
}

impl Calls {
    /// Keeps the functions of a state whose rooms are installed.
    ///
    /// # Errors
    /// When Lua is out of memory.
    pub fn new(vm: &Rc<Vm>) -> mlua::Result<Self> {
        let module: Table = vm.lua().load("return require('moongate.balancer')").eval()?;
        let keep = |name: &str| vm.keep(module.get::<Function>(name)?);
        Ok(Self {
            read_back: keep("read_back")?,
            retry: keep("retry")?,
            hash_consumer: keep("hash_consumer")?,
        })
    }

    /// Takes over what plugins wrote into `balancer_data`, if they were given it.
    ///
    /// # Errors
    /// When Lua is out of memory: then nobody knows where the request was to go.
    pub fn read_back(&self, vm: &Rc<Vm>, scope: &Rc<Scope>) -> Result<(), Fault> {
        if scope.target_out.get()
            && let Flow::Failed(fault) = vm.run_now(scope, self.read_back, &[])
        {
            return Err(fault);
        }
        Ok(())
    }

    /// Asks the function that a plugin left before another try.
    ///
    /// # Errors
    /// What it threw, or gave for an error.
    pub fn retry(&self, vm: &Rc<Vm>, scope: &Rc<Scope>) -> Result<(), String> {
        match vm.run_now(scope, self.retry, &[]) {
            Flow::Failed(fault) => Err(fault.message),
            Flow::Done | Flow::Exit(_) => Ok(()),
        }
    }

    /// Sets the hash value to the consumer's, as Lua knows it.
    pub fn hash_consumer(&self, vm: &Rc<Vm>, scope: &Rc<Scope>) {
        vm.run_now(scope, self.hash_consumer, &[]);
    }
}

fn millis(limit: Duration) -> f64 {
    limit.as_secs_f64() * 1000.0
}

/// Scheme, type of host, host, port, retries and time limits.
fn target(_: &Args, r: &mut Ret) {
    scope::with(|s| s.target_out.set(true));
    scope::read(|x| {
        let t = &x.target;
        let kind = match t.host.trim_matches(['[', ']']).parse() {
            Ok(std::net::IpAddr::V4(_)) => "ipv4",
            Ok(std::net::IpAddr::V6(_)) => "ipv6",
            Err(_) => "name",
        };
        r.str(&x.outbound.scheme).lit(kind);
        if t.host.is_empty() {
            r.nil().nil();
        } else {
            r.str(&t.host).num(t.port);
        }
        r.num(t.retries)
            .num(millis(t.connect_timeout))
            .num(millis(t.write_timeout))
            .num(millis(t.read_timeout));
    });
}

fn is_stale(_: &Args, r: &mut Ret) {
    r.bool(scope::with(|s| s.target_stale.get()).unwrap_or(false));
}

/// How many tries, the tries, the last one's address, port and name, hash value, whether Host is kept.
fn outcome(_: &Args, r: &mut Ret) {
    scope::with(|s| s.target_stale.set(false));
    scope::read(|x| {
        r.num(x.attempts.len() as u32);
        push_tries(r, &x.attempts);
        match x.attempts.last() {
            Some(last) => r
                .str(last.addr.ip().to_canonical().to_string())
                .num(last.addr.port())
                .str(&x.target.hostname),
            None => r.nil().nil().nil(),
        };
        r.opt(x.target.hash_value.as_ref());
        if x.target.preserve_host {
            r.bool(true);
        } else {
            r.nil();
        }
    });
}

/// Host, port, retries, connect, send, write and read limits, hash value, whether there is a retry callback; nil
/// and nonsense change nothing.
fn apply(a: &Args, _: &mut Ret) {
    let whole = |i, most: f64| a.num(i).filter(|n| n.fract() == 0.0 && (0.0..=most).contains(n));
    let limit = |i| {
        let ms = a.num(i).filter(|n| (1.0..=LONGEST_MS).contains(n))?;
        Some(Duration::from_secs_f64(ms / 1000.0))
    };
    let plugin = scope::with(|s| s.plugin.get());
    scope::write(|x| {
        let t = &mut x.target;
        if let Some(host) = a.str(1).filter(|h| *h != t.host.as_bytes()) {
            t.host = String::from_utf8_lossy(host).into_owned();
            t.chosen = true;
        }
        if let Some(port) = whole(2, 65535.0) {
            t.port = port as u16;
        }
        if let Some(retries) = whole(3, 32767.0) {
            t.retries = retries as u32;
        }
        if let Some(connect) = limit(4) {
            t.connect_timeout = connect;
        }
        // set_timeouts writes both; who writes one of them means that
        match (limit(5), limit(6)) {
            (Some(send), _) if send != t.write_timeout => t.write_timeout = send,
            (_, Some(write)) => t.write_timeout = write,
            _ => {}
        }
        if let Some(read) = limit(7) {
            t.read_timeout = read;
        }
        if let Some(hash) = a.str(8) {
            t.hash_value = Some(hash.to_vec());
        }
        let callback = a.truthy(9);
        if callback && !t.retry_callback {
            t.retry_plugin = plugin.unwrap_or(t.retry_plugin);
        }
        t.retry_callback = callback;
    });
}

fn set_hash_value(a: &Args, _: &mut Ret) {
    let value = a.str(1).map(<[u8]>::to_vec);
    scope::write(|x| x.target.hash_value = value);
}
