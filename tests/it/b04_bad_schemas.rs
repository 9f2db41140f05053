//! B4 against plugins whose schemas, entities and handlers are broken or malicious.

use serde_json::{Value, json};

use super::b04_bad_input::{Victim, good, says};

/// Fields whose functions misbehave, each in its own way.
pub(super) const WILD: &str = r#"
local seen = {}
local function field(fn) return { type = "string", custom_validator = fn } end
local function map(fn)
  return { type = "map", keys = { type = "string" }, values = { type = "string" }, custom_validator = fn }
end
local function endless() return 1 + endless() end
local function kept() return pcall(kept) and kept() or 1 end
return { name = "wild", fields = { { config = { type = "record", shorthand_fields = {
    { short = { type = "string", func = function() error("in a shorthand") end } },
  }, fields = {
  { says = field(function() error("said so") end) },
  { shows = field(function() error({ code = 7, why = "a table" }) end) },
  { empty = field(function() error(nil) end) },
  { odd = field(function() return nil, { deep = { "told", 5 } } end) },
  { cycle = field(function() local t = {} t.t = t return nil, t end) },
  { code = field(function() return nil, print end) },
  { loops = field(function() while true do end end) },
  { hides = field(function() while true do pcall(function() while true do end end) end end) },
  { searches = field(function() for i = 1, 1e12 do local _ = ("x"):rep(10):find("y") end end) },
  { yields = field(function() coroutine.yield() end) },
  { sleeps = field(function() ngx.sleep(0.01) return true end) },
  { exits = field(function() kong.response.exit(500) end) },
  { ends = field(function() ngx.exit(500) end) },
  { recurses = field(function() return endless() > 0 end) },
  { nests = field(function() return kept() end) },
  { eats = field(function() for i = 1, 1e9 do seen[i] = ("x"):rep(3e7) .. i end end) },
  { grows = field(function() local s = ("x"):rep(1000000) while true do s = s .. s end end) },
  { patterns = field(function() return (("a"):rep(40)):find(("a?"):rep(20) .. ("a"):rep(20) .. "$") ~= nil end) },
  { changes = map(function(v) v.me = v return true end) },
  { fills = map(function(v) v.f = print return true end) },
  { index = field(function(v) return v.a.b end) },
  { checked = { type = "string" } },
  { thrown = { type = "string" } },
}, entity_checks = {
  { custom_entity_check = { field_sources = { "checked" }, fn = function(entity)
    if entity.checked and entity.checked ~= ngx.null then error("in a check") end
    return true
  end } },
  { custom_entity_check = { field_sources = { "thrown" }, fn = function(entity)
    if entity.thrown and entity.thrown ~= ngx.null then error(setmetatable({}, { __tostring = function() return "an object" end })) end
    return true
  end } },
} } } } }
"#;

/// A handler that does nothing.
pub(super) const QUIET: &str = "return { PRIORITY = 1, VERSION = '1.0.0' }";

#[test]
fn b04_bad_schema_functions_are_stopped_and_named() {
    let v = Victim::start(|s| {
        s.lua("kong/plugins/wild/schema.lua", WILD)
            .lua("kong/plugins/wild/handler.lua", QUIET)
            .enable("wild")
            .set("moongate_handler_timeout", "1s")
            .set("moongate_lua_memory_limit", "64m")
    });
    let with = |field: &str, value: Value| {
        let mut config = good("wild");
        let plugins = config["plugins"].as_array_mut().unwrap();
        plugins.push(json!({ "name": "wild", "instance_name": "it", "config": { field: value } }));
        config.to_string()
    };
    let stopped = "in entry 2 of 'plugins' (wild): ";
    for (field, wanted) in [
        ("says", &["says", "custom_validator failed: ", "said so"][..]),
        ("shows", &["shows", "custom_validator failed: ", "a table"]),
        ("empty", &["empty", "custom_validator failed: nil"]),
        ("odd", &["odd", "deep", "told"]),
        ("cycle", &["cycle"]),
        ("code", &["code", "function: "]),
        ("short", &["short", "failed: ", "in a shorthand"]),
        (
            "checked",
            &["@entity", "custom_entity_check failed: ", "in a check"],
        ),
        ("thrown", &["@entity", "custom_entity_check failed: an object"]),
        (
            "loops",
            &[
                stopped,
                "schema.lua:",
                "ran longer than moongate_handler_timeout allows",
            ],
        ),
        (
            "hides",
            &[stopped, "ran longer than moongate_handler_timeout allows"],
        ),
        (
            "searches",
            &[stopped, "ran longer than moongate_handler_timeout allows"],
        ),
        // whichever of its limits a busy machine comes to first
        ("eats", &["not enough memory|ran longer than"]),
        ("grows", &["not enough memory|ran longer than"]),
    ] {
        v.refuses(with(field, json!("x")), wanted);
    }
    // what judges cannot change what is judged
    for field in ["changes", "fills"] {
        let taken = v
            .post("", "text/yaml", with(field, json!({ "a": "b" })).as_bytes())
            .is(201)
            .json();
        let rows = taken["plugins"].as_object().unwrap().values();
        let kept: Vec<&Value> = rows
            .map(|row| &row["config"][field])
            .filter(|v| v.is_object())
            .collect();
        assert_eq!(kept, [&json!({ "a": "b" })]);
        v.answer.set("wild");
        v.still_serves();
    }
    // these words are Lua's own
    for (field, wanted) in [
        ("yields", "attempt to yield"),
        ("sleeps", ""),
        ("exits", ""),
        ("ends", ""),
        ("recurses", "stack overflow"),
        ("index", "attempt to index"),
        ("nests", ""),
    ] {
        let answer = v
            .post("", "application/json", with(field, json!("x")).as_bytes())
            .is(400);
        let said = answer.json()["fields"].to_string();
        assert!(
            says(&said, &format!("{field}|(wild)")) && said.contains(wanted),
            "{field}: {said}"
        );
        v.still_serves();
    }
    // a validator that is merely slow is let be
    v.takes(with("patterns", json!("x")), "wild");
    v.is_well();
}

#[test]
fn b04_bad_schemas_and_handlers_are_named_with_their_file() {
    let v = Victim::start(|s| {
        s.lua(
            "kong/plugins/turns/schema.lua",
            "return { name = 'turns', fields = { { config = { type = 'record', fields = {} } } } }",
        )
        .lua("kong/plugins/turns/handler.lua", QUIET)
        .enable("turns")
        .set("plugins", "bundled,tell,turns")
        .set("moongate_handler_timeout", "1s")
        .set("moongate_lua_memory_limit", "64m")
    });
    let dir = v.gateway.dir().join("lua/kong/plugins");
    let turns = |file: &str, text: &str| std::fs::write(dir.join("turns").join(file), text).unwrap();
    let fields = "fields = { { config = { type = 'record', fields = {} } } }";
    let sound = format!("return {{ name = 'turns', {fields} }}");
    for (schema, wanted) in [
        ("return { name = 'turns', fields = {\n".to_owned(), &["turns", "schema.lua:"][..]),
        ("error('at load')".to_owned(), &["turns", "at load"]),
        ("error({ 1 })".to_owned(), &["turns"]),
        ("return 7".to_owned(), &["turns"]),
        ("return nil".to_owned(), &["turns"]),
        ("return {}".to_owned(), &["turns", "name"]),
        ("return { name = 'turns', fields = { { config = { type = 'nothing' } } } }".to_owned(), &["turns", "config"]),
        ("return { name = 'turns', fields = { { config = { type = 'record', fields = { { a = 1 } } } } } }".to_owned(), &["turns"]),
        ("return { no_consumer = true, fields = { a = { type = 'string' } }, self_check = function() end }".to_owned(), &["turns"]),
        ("local t = { type = 'record' } t.fields = { { a = t } } return { name = 'turns', fields = { { config = t } } }".to_owned(), &["turns"]),
        ("while true do end".to_owned(), &["ran longer than moongate_handler_timeout allows"]),
        ("return require 'not.there'".to_owned(), &["turns", "not.there"]),
    ] {
        turns("schema.lua", &schema);
        v.refuses(good("x").to_string(), wanted);
    }
    turns("schema.lua", &sound);
    for (daos, wanted) in [
        ("error('in daos')", &["turns", "in daos"][..]),
        ("return {", &["daos.lua:"]),
        ("return { { name = 'things' } }", &["things"]),
        (
            "return { { name = 'things', primary_key = { 'id' }, fields = { { id = { type = 'nothing' } } } } }",
            &["things"],
        ),
        (
            "return { { name = 'things', primary_key = { 'id' }, fields = { { id = { type = 'string' } }, \
            { o = { type = 'foreign', reference = 'absent' } } } } }",
            &["absent"],
        ),
        (
            "while true do end",
            &["ran longer than moongate_handler_timeout allows"],
        ),
    ] {
        turns("daos.lua", daos);
        v.refuses(good("x").to_string(), wanted);
    }
    let thing =
        json!({ "_format_version": "3.0", "things": [{ "id": "one", "v": { "a": "b" } }] }).to_string();
    for (written, wanted) in [
        ("error('on write')", &["on write"][..]),
        ("return nil, 'not today'", &["not today"]),
        ("v.v = v return { v = v }", &["nests too deep"]),
        ("v.f = print return { v = v }", &["type not supported"]),
        (
            "while true do end",
            &["daos.lua:2: handler ran longer than moongate_handler_timeout allows"],
        ),
    ] {
        let daos = format!(
            "return {{ {{ name = 'things', primary_key = {{ 'id' }}, transformations = {{ {{ input = {{ 'v' }}, on_write = function(v)
               {written} end }} }}, fields = {{ {{ id = {{ type = 'string' }} }}, {{ key = {{ type = 'string', unique = true }} }},
               {{ v = {{ type = 'map', keys = {{ type = 'string' }}, values = {{ type = 'string' }} }} }} }} }} }}"
        );
        turns("daos.lua", &daos);
        v.refuses(&thing, &[&["things"], wanted].concat());
    }
    let twice = json!({ "_format_version": "3.0", "things": [{ "id": "one", "key": "k" }, { "id": "two", "key": "k" }] });
    v.refuses(
        twice.to_string(),
        &["uniqueness violation: 'things' entity with key set to 'k' already declared"],
    );
    std::fs::remove_file(dir.join("turns/daos.lua")).unwrap();
    // a plugin that nobody used yet, and that does not load
    let late = dir.join("late");
    std::fs::create_dir_all(&late).unwrap();
    std::fs::write(late.join("schema.lua"), sound.replace("turns", "late")).unwrap();
    let mut config = good("late");
    config["plugins"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "name": "late" }));
    for (handler, wanted) in [
        ("local P = {", &["late", "handler.lua:"][..]),
        ("error('never')", &["late", "never"]),
        (
            "return { PRIORITY = 'high', VERSION = '1' }",
            &["late", "PRIORITY"],
        ),
    ] {
        std::fs::write(late.join("handler.lua"), handler).unwrap();
        v.refuses(config.to_string(), wanted);
    }
    std::fs::write(late.join("handler.lua"), QUIET).unwrap();
    v.takes(config.to_string(), "late");
    v.is_well();
}
