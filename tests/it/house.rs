//! The house keeps its own rules: floors, pairs, top level, sizes.

use std::path::{Path, PathBuf};

/// Rooms by floor; a room uses only rooms on floors below its own. The design's floor 7
/// has steps of its own (the command line hands over to the server, which houses the runner), and so has floor 0
/// (the store is made of entities).
const FLOORS: &[(u8, &str)] = &[
    (10, "cli"),
    (9, "server"),
    (8, "admin busted"),
    (7, "proxy"),
    (6, "plugin db cache"),
    (5, "pdk ngx libs schema"),
    (4, "vm"),
    (3, "router balancer upstream"),
    (2, "exchange"),
    (1, "store resolver"),
    (0, "entity shared net tls settings logs"),
];

/// Lua faces that need no Rust of their own: they are made of other faces, or of tables only.
const LUA_ONLY: &[&str] = &[
    "checks",
    "client_tls",
    "cmd_log",
    "ctx",
    "env",
    "env_schema",
    "foreign",
    "global",
    "globalpatches",
    "init",
    "inspect",
    "log",
    "named",
    "node",
    "phases",
    "ndk",
    "reference",
    "scope",
    "refs",
    "scope",
    "secrets",
    "strategies",
    "table",
    "telemetry",
    "tracing",
    "vault",
];

const TOP: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "src",
    "lua",
    "spec",
    "tests",
    "config.json",
    "Makefile",
    "README.md",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(below: &str, ext: &str) -> Vec<PathBuf> {
    fn walk(dir: &Path, ext: &str, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, ext, found);
            } else if path.extension().is_some_and(|e| e == ext) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(below), ext, &mut found);
    found.sort();
    found
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// Unit tests may build a whole house around what they test.
fn is_test(name: &str) -> bool {
    name.ends_with("/tests.rs") || name.contains("/tests/") || name.ends_with("/testing.rs")
}

fn floor(room: &str) -> Option<u8> {
    let of = FLOORS
        .iter()
        .find(|(_, rooms)| rooms.split(' ').any(|r| r == room));
    of.map(|(floor, _)| *floor)
}

/// Names of rooms that a source text uses, by `crate::room` anywhere, comments and doc links left out.
fn used(text: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    let code: String = text
        .lines()
        .filter(|l| !l.trim_start().starts_with("//"))
        .map(|l| l.to_owned() + "\n")
        .collect();
    for rest in code.split("crate::").skip(1) {
        let names = match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or_default(),
            None => rest,
        };
        let first = |s: &str| -> String {
            s.trim_start()
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect()
        };
        if rest.starts_with('{') {
            rooms.extend(names.split(',').map(first));
        } else {
            rooms.push(first(names));
        }
    }
    rooms.retain(|r| !r.is_empty());
    rooms
}

#[test]
fn a01_rooms_use_only_rooms_below_their_floor() {
    let mut wrong = Vec::new();
    for path in files("src", "rs") {
        let name = relative(&path);
        let room = name.split('/').nth(1).unwrap();
        if room.ends_with(".rs") || is_test(&name) {
            continue;
        }
        let mine = floor(room).unwrap_or_else(|| panic!("{name}: the room {room} stands on no floor"));
        for other in used(&std::fs::read_to_string(&path).unwrap()) {
            let Some(theirs) = floor(&other) else { continue };
            if other != room && theirs >= mine {
                wrong.push(format!("{name} (floor {mine}) uses {other} (floor {theirs})"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a01_the_floor_scan_sees_uses() {
    assert_eq!(
        used("use crate::proxy;\nlet x = crate::vm::op();"),
        ["proxy", "vm"]
    );
    assert_eq!(used("use crate::{exchange::Phase, net};"), ["exchange", "net"]);
    assert_eq!(used("// use crate::proxy"), Vec::<String>::new());
    assert_eq!(floor("proxy"), Some(7));
}

#[test]
fn a01_lua_faces_stand_beside_their_rust() {
    let mut lonely = Vec::new();
    for room in ["src/pdk", "src/ngx"] {
        for path in files(room, "lua") {
            let stem = path.file_stem().unwrap().to_str().unwrap();
            let folder = path.with_extension("").join("mod.rs");
            if !path.with_extension("rs").exists() && !folder.exists() && !LUA_ONLY.contains(&stem) {
                lonely.push(relative(&path));
            }
        }
    }
    assert!(
        lonely.is_empty(),
        "no Rust of the same stem beside {}",
        lonely.join(", ")
    );
}

#[test]
fn a01_the_top_level_is_what_it_should_be() {
    let listed = std::process::Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output();
    let mut top: Vec<String> = match listed {
        Ok(out) if out.status.success() => String::from_utf8(out.stdout)
            .unwrap()
            .lines()
            .map(|l| l.split('/').next().unwrap().to_owned())
            .collect(),
        // Not a clone: what lies there, except what building and running leaves.
        _ => std::fs::read_dir(root())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .filter(|n| n != "target" && n != "servroot")
            .collect(),
    };
    top.retain(|n| !n.starts_with('.'));
    top.sort();
    top.dedup();
    let mut want: Vec<&str> = TOP.to_vec();
    want.sort_unstable();
    assert_eq!(top, want);
}

#[test]
fn a01_files_stay_small() {
    let mut lengths = Vec::new();
    let mut long = Vec::new();
    let all = [
        files("src", "rs"),
        files("src", "lua"),
        files("tests", "rs"),
        files("spec", "lua"),
    ]
    .concat();
    for path in all {
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        if lines > 700 {
            long.push(format!("{} has {lines} lines", relative(&path)));
        }
        lengths.push(lines);
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
    lengths.sort_unstable();
    assert!(lengths[lengths.len() / 2] <= 200, "the median file is too long");
}

#[test]
fn a01_rustls_pemfile_is_used_in_one_file_only() {
    let uses = |p: &PathBuf| std::fs::read_to_string(p).unwrap().contains("rustls_pemfile::");
    let found: Vec<_> = files("src", "rs")
        .into_iter()
        .filter(uses)
        .map(|p| relative(&p))
        .collect();
    assert!(found.len() <= 1, "{found:?}");
}

#[test]
fn a01_every_module_says_what_it_is_for() {
    let silent = |p: &PathBuf| !std::fs::read_to_string(p).unwrap().starts_with("//!");
    let found: Vec<_> = files("src", "rs")
        .into_iter()
        .filter(silent)
        .map(|p| relative(&p))
        .filter(|name| !is_test(name))
        .collect();
    assert!(found.is_empty(), "no module doc: {found:?}");
}

/// Which global names a chunk's bytecode reads and sets.
const GLOBALS: &str = r#"
local util, bit = require "jit.util", require "bit"
local function op(text, pc)
  return bit.band(util.funcbc(loadstring(text), pc), 0xff)
end
local SET, GET = op("x = 1", 2), op("return x", 1)
local function walk(f, file, used)
  local info = util.funcinfo(f)
  for pc = 1, info.bytecodes - 1 do
    local code = util.funcbc(f, pc)
    local kind = bit.band(code, 0xff)
    if kind == SET or kind == GET then
      local name = util.funck(f, -bit.rshift(code, 16) - 1)
      local line = file .. ":" .. util.funcinfo(f, pc).currentline
      used[#used + 1] = { kind == SET and "sets" or "reads", name, line }
    end
  end
  for i = 1, info.gcconsts do
    local inner = util.funck(f, -i)
    if type(inner) == "proto" then
      walk(inner, file, used)
    end
  end
  return used
end
local text, file = ...
return walk(assert(loadstring(text)), file, {})
"#;

#[test]
fn a01_embedded_lua_keeps_to_its_locals() {
    let lua = mlua::Lua::new();
    let known = |name: &str| {
        matches!(
            name,
            "kong" | "ngx" | "getfenv" | "setfenv" | "loadfile" | "debug"
        ) || lua.globals().contains_key(name).unwrap()
    };
    let mut wrong = Vec::new();
    for path in files("src", "lua") {
        let text = std::fs::read_to_string(&path).unwrap();
        let scan = lua.load(GLOBALS);
        let used: Vec<[String; 3]> = scan.call((text, relative(&path))).unwrap();
        for [how, name, line] in used {
            // `print` goes to the error log
            if !known(&name) || (how == "sets" && name != "print") {
                wrong.push(format!("{line} {how} {name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
