//! The gateway's own specs run with its own runner.

use std::process::Command;

use crate::support::TempDir;

fn spec(dir: &std::path::Path, args: &[&str]) -> (i32, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_moongate"))
        .arg("spec")
        .args(args)
        .current_dir(dir)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    (out.status.code().unwrap_or(-1), text)
}

#[test]
fn a14_the_specs_pass() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let (code, text) = spec(root, &["spec/"]);
    assert_eq!(code, 0, "{text}");
}

#[test]
fn a14_exit_codes_and_tap() {
    let dir = TempDir::new();
    dir.write(
        "spec/a_spec.lua",
        "describe('a', function() it('passes', function() assert.equal(1, 1) end)
         it('fails', function() assert.same({ 1 }, { 2 }) end) pending('waits') end)",
    );
    let (code, text) = spec(dir.path(), &["-o", "TAP", "spec/"]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("1..") && text.contains("not ok"), "{text}");
    assert!(text.contains("a_spec.lua:2"), "{text}");
    let (code, _) = spec(dir.path(), &["--filter", "passes", "spec/"]);
    assert_eq!(code, 0);
    dir.write("spec/b_spec.lua", "this is not Lua");
    let (code, text) = spec(dir.path(), &["spec/b_spec.lua"]);
    assert!(code != 0 && text.contains("b_spec.lua:1"), "{text}");
}

#[test]
fn a14_specs_see_the_gateways_lua() {
    let dir = TempDir::new();
    dir.write(
        "spec/ngx_spec.lua",
        "it('has ngx and cjson', function()
           assert.equal('YQ==', ngx.encode_base64('a'))
           assert.same({ 1 }, require('cjson').decode('[1]'))
           ngx.sleep(0.01)
           assert.truthy(require('kong.db.schema.typedefs').protocols_http)
         end)",
    );
    let (code, text) = spec(dir.path(), &["spec/"]);
    assert_eq!(code, 0, "{text}");
}
