//! The runner over real files, in a state of the gateway's own kind.
#![allow(clippy::unwrap_used)]

use std::rc::Rc;

use super::*;
use crate::exchange::Phase;
use crate::vm::state::Install;
use crate::vm::{Args, Flow, Out, Ret, Scope, Vm, VmOptions, op};

/// With the rooms that the runner's helpers for Kong's specs ask for.
fn vm() -> Rc<Vm> {
    vm_with(&[
        crate::libs::install,
        crate::schema::install,
        crate::db::install,
        crate::ngx::install,
        crate::pdk::install,
        crate::cache::install,
        install,
    ])
}

fn vm_with(rooms: &[Install]) -> Rc<Vm> {
    let options = VmOptions {
        handler_timeout: Duration::from_secs(120),
        ..VmOptions::default()
    };
    Vm::new(&options, rooms).unwrap()
}

/// Runs a function where it may wait and has an `ngx.ctx`, as the command line does.
fn driven(vm: &Rc<Vm>, function: &Function) -> Flow {
    let function = vm.keep(function.clone()).unwrap();
    let scope = Scope::new(vm, Phase::Timer, None);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, vm.run(&scope, function, &[]))
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let dir = std::env::temp_dir().join(format!("busted-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        for (file, text) in files {
            let path = dir.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Self(dir)
    }

    fn path(&self, file: &str) -> String {
        self.0.join(file).to_string_lossy().into_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn args(list: &[&str]) -> Vec<String> {
    list.iter().map(|a| (*a).to_string()).collect()
}

#[test]
fn a14_every_module_loads() {
    let vm = vm();
    let require: Function = vm.lua().globals().get("require").unwrap();
    for (name, _) in MODULES {
        let flow = driven(&vm, &require.bind(*name).unwrap());
        assert!(matches!(flow, Flow::Done), "{name}: {flow:?}");
    }
}

#[test]
fn a14_exit_codes_and_junit_file() {
    let folder = Folder::new(
        "codes",
        &[
            (
                "spec/good_spec.lua",
                "describe('d', function() it('passes', function() assert.equal(1, 1) end) end)",
            ),
            (
                "spec/deep/bad_spec.lua",
                "it('fails & falls', function() assert.same({ a = 1 }, { a = 2 }) end)",
            ),
            ("spec/deep/not_one.lua", "error('must not be loaded')"),
        ],
    );
    let xml = folder.path("out.xml");
    let vm = vm();
    let go = |extra: &[&str], root: &str| {
        let mut list = args(&["-o", "junit", "-Xoutput", &xml]);
        list.extend(args(extra));
        list.push(folder.path(root));
        run(vm.lua(), &list).unwrap()
    };
    assert_eq!(go(&[], "spec/good_spec.lua"), 0);
    let text = std::fs::read_to_string(&xml).unwrap();
    assert!(text.contains("tests=\"1\" errors=\"0\" failures=\"0\""), "{text}");
    assert_eq!(go(&[], "spec"), 1);
    let text = std::fs::read_to_string(&xml).unwrap();
    assert!(text.contains("tests=\"2\" errors=\"0\" failures=\"1\""), "{text}");
    assert!(text.contains("fails &amp; falls"), "{text}");
    assert!(
        text.contains("bad_spec.lua:1: Expected objects to be the same."),
        "{text}"
    );
    assert!(text.contains("*[a] = 2"), "{text}");
    assert_eq!(go(&["--no-recursive"], "spec"), 0);
    assert_eq!(go(&[], "nowhere"), 1);
}

fn nap(a: &Args, r: &mut Ret) {
    let pause = Duration::from_millis(a.int(1).unwrap_or(0) as u64);
    r.wait(async move {
        tokio::time::sleep(pause).await;
        let mut out = Out::new();
        out.lit("rested");
        out
    });
}

const WAITING_SPEC: &str = r#"
local ops = require "moongate.ops"
local function nap()
  ops.test.nap(1)
  return ops.vm.take()
end
describe("waiting", function()
  local naps = 0
  setup(nap)
  before_each(function() naps = naps + (nap() == "rested" and 1 or 0) end)
  it("in a test", function()
    finally(nap)
    assert.equal("rested", nap())
  end)
  it("inside an assertion", function()
    assert.has_no_error(nap)
    assert.error_matches(function() nap() error("after") end, "after")
  end)
  it("in a spy and a coroutine", function()
    local s = spy.new(nap)
    assert.equal("rested", coroutine.wrap(function() return s() end)())
    assert.spy(s).returned_with("rested")
  end)
  teardown(function() assert.equal(3, naps) end)
end)
"#;

#[test]
fn a14_specs_wait_on_the_driver() {
    let folder = Folder::new("driver", &[("spec/one_spec.lua", WAITING_SPEC)]);
    let vm = vm_with(&[install, |r| r.op("test", "nap", op::raw(nap))]);
    let xml = folder.path("out.xml");
    let list = args(&["-o", "junit", "-Xoutput", &xml, &folder.path("spec")]);
    let program = Program::new(vm.lua(), &list).unwrap();
    assert!(matches!(program.exit_code(), Err(Error::Unfinished)));
    let flow = driven(&vm, &program.function);
    assert!(matches!(flow, Flow::Done), "{flow:?}");
    let text = std::fs::read_to_string(&xml).unwrap();
    assert_eq!(program.exit_code().unwrap(), 0, "{text}");
    assert!(text.contains("tests=\"3\""), "{text}");
}

#[test]
fn a14_host_functions_say_why_not() {
    let lua = Lua::new();
    lua.globals().set("host", host_functions(&lua).unwrap()).unwrap();
    lua.load(
        r#"
        local text, err = host.read_file("/nowhere/at/all")
        assert(text == nil and err == "No such file or directory", err)
        assert(select(2, host.list_dir("/nowhere")) == "No such file or directory")
        assert(select(2, host.write_file("/nowhere/x", "y")) == "No such file or directory")
        assert(host.is_dir("/") and not host.is_file("/"))
        assert(host.getenv("NO_SUCH_VARIABLE_HERE") == nil)
        local before = host.monotonic()
        host.sleep(0.01)
        assert(host.monotonic() - before >= 0.01)
        assert(host.now() > 1.6e9)
        assert(host.current_dir():sub(1, 1) == "/")
        "#,
    )
    .exec()
    .unwrap();
}

#[test]
fn a14_self_specs() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/spec/busted");
    let vm = vm();
    let program = Program::new(vm.lua(), &args(&["-o", "plainTerminal", root])).unwrap();
    let flow = driven(&vm, &program.function);
    assert!(matches!(flow, Flow::Done), "{flow:?}");
    assert_eq!(program.exit_code().unwrap(), 0);
}
