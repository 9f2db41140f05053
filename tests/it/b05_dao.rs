//! `kong.db` in handlers: the entities of the configuration, the gateway's own and those of plugins.

use serde_json::{Value, json};

use crate::support::gateway::PROBE;
use crate::support::{Admin, Gateway, Setup, eventually, service, with};

const DAOS: &str = r#"
local typedefs = require "kong.db.schema.typedefs"
return {
  {
    name = "notes",
    primary_key = { "id" },
    endpoint_key = "name",
    cache_key = { "owner", "kind" },
    workspaceable = true,
    ttl = true,
    fields = {
      { id = typedefs.uuid },
      { created_at = typedefs.auto_timestamp_s },
      { owner = { type = "foreign", reference = "consumers", required = true, on_delete = "cascade" } },
      { kind = { type = "string", default = "plain" } },
      { name = { type = "string", required = true, unique = true } },
      { size = { type = "integer", unique = true } },
      { tags = typedefs.tags },
    },
  },
  {
    name = "labels",
    primary_key = { "id" },
    endpoint_key = "text",
    cache_key = { "text" },
    workspaceable = true,
    fields = {
      { id = typedefs.uuid },
      { text = { type = "string", required = true, unique = true } },
    },
  },
}
"#;

/// 25 notes: 20 of bob, 5 of ann; every second one is tagged `even`, every fifth `five`.
fn config() -> Value {
    let mut config = with(service(1), "keeper", json!({}));
    let note = |i: usize| {
        let mut tags = vec!["all".to_owned()];
        tags.extend(i.is_multiple_of(2).then(|| "even".to_owned()));
        tags.extend(i.is_multiple_of(5).then(|| "five".to_owned()));
        json!({ "name": format!("n{i:02}"), "kind": format!("k{i}"), "owner": if i < 20 { "bob" } else { "ann" },
            "size": i * 100, "tags": tags })
    };
    config["consumers"] = json!([{ "username": "bob", "custom_id": "b-1" }, { "username": "ann" }]);
    config["notes"] = (0..25).map(note).collect();
    config["labels"] = json!([{ "text": "red" }, { "text": "blue:green" }]);
    config
}

fn start() -> (Gateway, Admin) {
    let (setup, admin) = Setup::new(&with(config(), "probe", json!({})))
        .plugin("keeper", "return { PRIORITY = 1, VERSION = '1.0.0' }")
        .lua("kong/plugins/keeper/daos.lua", DAOS)
        .plugin("probe", PROBE)
        .admin();
    (setup.start(), admin)
}

/// What Lua on a request returns, as JSON.
#[track_caller]
fn run(gateway: &Gateway, lua: &str) -> Value {
    let lua = format!("local f = function() {lua} end kong.response.exit(200, {{ f() }})");
    gateway.access(&lua).is(200).json()
}

/// The same of a single value.
#[track_caller]
fn one(gateway: &Gateway, lua: &str) -> Value {
    run(gateway, lua)[0].clone()
}

/// The end of a time to live, as declarative files have it.
pub fn in_seconds(n: u64) -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap().as_secs() + n
}

#[test]
fn b05_entities_are_found_by_their_keys() {
    let (gateway, _) = start();
    let note = one(&gateway, "return kong.db.notes:select_by_name('n07')");
    assert_eq!((&note["kind"], &note["tags"]), (&json!("k7"), &json!(["all"])));
    assert!(
        note["owner"].as_object().unwrap().keys().eq(["id"]),
        "a reference has the key only: {note}"
    );
    assert!(note.get("ws_id").is_none(), "{note}");
    assert!(note["created_at"].is_u64() && note.get("ttl").is_none(), "{note}");
    assert_eq!(
        one(&gateway, "return kong.db.notes:select_by_size(700).name"),
        "n07"
    );
    let same = "local n = kong.db.notes:select_by_name('n07')
        local a, b = kong.db.notes:select({ id = n.id }), kong.db.notes:select(n)
        a.kind = 'changed'
        return a.name, b.kind, kong.db.notes:select({ id = n.id }).kind, a ~= b";
    assert_eq!(
        run(&gateway, same),
        json!(["n07", "k7", "k7", true]),
        "each gets a table of its own"
    );
    let nothing = "return select('#', kong.db.notes:select_by_name('none')),
        (kong.db.notes:select_by_name('none')) == nil,
        (kong.db.notes:select({ id = '00000000-0000-4000-8000-000000000000' })) == nil";
    assert_eq!(run(&gateway, nothing), json!([1, true, true]));
    let refused =
        "local _, err, err_t = kong.db.notes:select({ id = 'x' }) return err, err_t.code, err_t.name";
    assert_eq!(
        run(&gateway, refused),
        json!([
            "[off] invalid primary key: '{id=\"expected a valid UUID\"}'",
            1,
            "invalid primary key"
        ])
    );
    let raised = "return select(2, pcall(kong.db.notes.select, kong.db.notes, 'x')),
        select(2, pcall(kong.db.notes.select_by_name, kong.db.notes, 7))";
    let raised = run(&gateway, raised);
    assert!(
        raised[0]
            .as_str()
            .unwrap()
            .ends_with("primary_key must be a table"),
        "{raised}"
    );
    assert!(
        raised[1].as_str().unwrap().ends_with("name must be a string"),
        "{raised}"
    );
}

#[test]
fn b05_cache_keys_lead_to_entities() {
    let (gateway, _) = start();
    let lua = "local n = kong.db.notes:select_by_name('n03')
        local key = kong.db.notes:cache_key(n)
        return key, kong.db.notes:cache_key(n.owner.id, 'k3') == key,
          kong.db.notes:select_by_cache_key(key).name, kong.db.notes:select_by_cache_key(n).name, n.owner.id,
          kong.db.notes:select_by_cache_key(kong.db.notes:cache_key(n.owner.id, 'other')) == nil";
    let got = run(&gateway, lua);
    let owner = got[4].as_str().unwrap();
    let ws = one(&gateway, "return kong.default_workspace");
    assert_eq!(got[0], format!("notes:{owner}:k3::::{}", ws.as_str().unwrap()));
    assert_eq!(
        (&got[1], &got[2], &got[3], &got[5]),
        (&json!(true), &json!("n03"), &json!("n03"), &json!(true))
    );
    let single = "return kong.db.labels:cache_key('red'), kong.db.labels:select_by_cache_key('red').text,
        kong.db.labels:select_by_cache_key('blue:green').text, kong.db.labels:select_by_cache_key('x') == nil";
    let got = run(&gateway, single);
    assert_eq!(got[0], format!("labels:red:::::{}", ws.as_str().unwrap()));
    assert_eq!(
        (&got[1], &got[2], &got[3]),
        (&json!("red"), &json!("blue:green"), &json!(true))
    );
    let cached = "local load = function(name) ngx.shared.kong:incr('loads', 1, 0)
          return kong.db.notes:select_by_name(name) end
        local key = kong.db.notes:cache_key('n05')
        local a = kong.cache:get(key, nil, load, 'n05')
        local b = kong.cache:get(key, nil, load, 'n05')
        return a.name, a == b, ngx.shared.kong:get('loads')";
    assert_eq!(run(&gateway, cached), json!(["n05", true, 1]));
    let none = "return select(2, pcall(kong.db.services.select_by_cache_key, kong.db.services, 'x'))";
    let none = one(&gateway, none);
    assert!(
        none.as_str()
            .unwrap()
            .ends_with("entity does not have a cache_key defined"),
        "{none}"
    );
}

#[test]
fn b05_pages_cover_all_rows_once() {
    let (gateway, _) = start();
    let lua = |call: &str| {
        format!(
            "local names, sizes, offset = {{}}, {{}}, nil
            repeat
              local list, err, err_t, next_offset = {call}
              if not list then return err, err_t.code end
              sizes[#sizes + 1] = #list
              for _, n in ipairs(list) do names[#names + 1] = n.name end
              offset = next_offset
            until not offset
            table.sort(names)
            return sizes, names"
        )
    };
    let names = |of: &dyn Fn(usize) -> bool| {
        (0..25)
            .filter(|i| of(*i))
            .map(|i| format!("n{i:02}"))
            .collect::<Vec<_>>()
    };
    let all = names(&|_| true);
    for (size, sizes) in [
        ("7", json!([7, 7, 7, 4])),
        ("25", json!([25])),
        ("1000", json!([25])),
        ("nil", json!([25])),
        ("2048", json!([25])),
    ] {
        let got = run(&gateway, &lua(&format!("kong.db.notes:page({size}, offset)")));
        assert_eq!(got, json!([sizes, all]), "{size}");
    }
    let bob = "{ id = kong.db.consumers:select_by_username('bob').id }";
    let got = run(
        &gateway,
        &lua(&format!("kong.db.notes:page_for_owner({bob}, 8, offset)")),
    );
    assert_eq!(got, json!([[8, 8, 4], names(&|i| i < 20)]));
    for (tags, cond, wanted) in [
        ("'even'", "and", names(&|i| i % 2 == 0)),
        ("'even', 'five'", "and", names(&|i| i % 10 == 0)),
        ("'even', 'five'", "or", names(&|i| i % 2 == 0 || i % 5 == 0)),
        ("'absent', 'five'", "or", names(&|i| i % 5 == 0)),
    ] {
        let call = format!("kong.db.notes:page(4, offset, {{ tags = {{ {tags} }}, tags_cond = '{cond}' }})");
        let got = run(&gateway, &lua(&call));
        assert_eq!(got[1], json!(wanted), "{tags} {cond}: {got}");
    }
    let none = "return #kong.db.notes:page(4, nil, { tags = { 'absent' } })";
    assert_eq!(run(&gateway, none), json!([0]));
    for (call, code) in [
        ("kong.db.notes:page(0, offset)", 9),
        ("kong.db.notes:page(2049, offset)", 9),
        ("kong.db.notes:page(1.5, offset)", 9),
        ("kong.db.notes:page(1, 'no offset')", 7),
        (
            "kong.db.notes:page(1, offset, { tags = { '1', '2', '3', '4', '5', '6' } })",
            11,
        ),
    ] {
        let got = run(&gateway, &lua(call));
        assert_eq!(got[1], code, "{call}: {got}");
    }
}

#[test]
fn b05_iterators_walk_over_all_rows() {
    let (gateway, _) = start();
    let lua = |call: &str| {
        format!(
            "local n, pages, sum = 0, 0, 0
            for note, err, page in {call} do
              if not note then return err end
              n, pages, sum = n + 1, page, sum + tonumber(note.kind:sub(2))
            end
            return n, pages, sum"
        )
    };
    assert_eq!(run(&gateway, &lua("kong.db.notes:each()")), json!([25, 1, 300]));
    assert_eq!(run(&gateway, &lua("kong.db.notes:each(10)")), json!([25, 3, 300]));
    let ann = "{ id = kong.db.consumers:select_by_username('ann').id }";
    assert_eq!(
        run(&gateway, &lua(&format!("kong.db.notes:each_for_owner({ann})"))),
        json!([5, 1, 110])
    );
    assert_eq!(
        run(&gateway, &lua(&format!("kong.db.notes:each_for_owner({ann}, 2)"))),
        json!([5, 3, 110])
    );
    let nobody = "kong.db.notes:each_for_owner({ id = '00000000-0000-4000-8000-000000000000' })";
    assert_eq!(run(&gateway, &lua(nobody)), json!([0, 0, 0]));
    let left = "for note in kong.db.notes:each(5) do return type(note.name) end";
    assert_eq!(run(&gateway, left), json!(["string"]));
}

#[test]
fn b05_nothing_can_be_written() {
    let (gateway, _) = start();
    let id = "{ id = kong.db.notes:select_by_name('n01').id }";
    let owner = "owner = { id = kong.db.consumers:select_by_username('bob').id }";
    for (call, verb) in [
        (format!("insert({{ name = 'new', {owner} }})"), "create"),
        (format!("update({id}, {{ kind = 'x' }})"), "update"),
        (
            format!("upsert({id}, {{ name = 'n01', {owner} }})"),
            "create or update",
        ),
        (format!("delete({id})"), "remove"),
    ] {
        let got = run(
            &gateway,
            &format!(
                "local ok, err, err_t = kong.db.notes:{call} return ok == nil, err, err_t.code, err_t.name"
            ),
        );
        let text = format!("[off] cannot {verb} 'notes' entities when not using a database");
        assert_eq!(got, json!([true, text, 12, "operation unsupported"]), "{call}");
    }
    for (call, verb) in [
        ("update_by_name('n01', { kind = 'x' })".to_owned(), "update"),
        (
            format!("upsert_by_name('n01', {{ {owner} }})"),
            "create or update",
        ),
        ("delete_by_name('n01')".to_owned(), "remove"),
    ] {
        let got = run(
            &gateway,
            &format!("local _, err, err_t = kong.db.notes:{call} return err, err_t.code"),
        );
        let text = format!("[off] cannot {verb} 'notes' entities by 'name' when not using a database");
        assert_eq!(got, json!([text, 12]), "{call}");
    }
    let invalid = "local _, err, err_t = kong.db.notes:insert({ name = 1 }) return err_t.code, err_t.fields";
    assert_eq!(
        run(&gateway, invalid),
        json!([2, { "name": "expected a string", "owner": "required field missing" }]),
        "what is wrong is said first"
    );
    assert_eq!(
        run(&gateway, "return kong.db.notes:select_by_name('n01').kind"),
        json!(["k1"])
    );
}

#[test]
fn b05_the_gateways_own_entities_are_there() {
    let (gateway, _) = start();
    let lua = "local s = kong.db.services:select_by_name('s')
        local r = kong.db.routes:select_by_name('r')
        local c = kong.db.consumers:select_by_username('bob')
        local names = {}
        for p in kong.db.plugins:each() do names[#names + 1] = p.name end
        table.sort(names)
        local routes = kong.db.routes:page_for_service({ id = s.id })
        return s.host, s.port, r.service.id == s.id, r.paths, c.custom_id, c.id == kong.db.consumers:select_by_custom_id('b-1').id,
          names, #routes, kong.db.workspaces:select_by_name('default').id == kong.default_workspace,
          #kong.db.upstreams:page(), kong.db.strategy";
    assert_eq!(
        run(&gateway, lua),
        json!([
            "127.0.0.1",
            1,
            true,
            ["/"],
            "b-1",
            true,
            ["keeper", "probe"],
            1,
            true,
            0,
            "off"
        ])
    );
    // as in the example of kong.db that plugins have: which plugin configuration is it
    let plugin = "local p for row in kong.db.plugins:each() do if row.name == 'keeper' then p = row end end
        local key = kong.db.plugins:cache_key('keeper', nil, nil, nil)
        return kong.db.plugins:select_by_cache_key(key).id == p.id, p.config.on, p.enabled, p.protocols";
    assert_eq!(
        run(&gateway, plugin),
        json!([true, true, true, ["grpc", "grpcs", "http", "https"]])
    );
    let unknown = "return kong.db.nothing == nil";
    assert_eq!(run(&gateway, unknown), json!([true]));
}

#[test]
fn b05_entities_go_when_their_time_is_over() {
    let (gateway, admin) = start();
    let mut short = with(config(), "probe", json!({}));
    short["notes"] = json!([
        { "name": "short", "owner": "bob", "ttl": in_seconds(3) },
        { "name": "long", "owner": "bob", "kind": "k", "ttl": in_seconds(3600) },
        { "name": "ever", "owner": "ann" },
    ]);
    admin.accept(&short);
    let names = "local names = {} for n in kong.db.notes:each() do names[#names + 1] = n.name end
        table.sort(names) return names";
    assert_eq!(one(&gateway, names), json!(["ever", "long", "short"]));
    let left = one(&gateway, "return kong.db.notes:select_by_name('long').ttl");
    assert!((3590..=3600).contains(&left.as_u64().unwrap()), "{left}");
    let gone = eventually(std::time::Duration::from_secs(6), || {
        one(&gateway, names) == json!(["ever", "long"])
    });
    assert!(gone, "{}", one(&gateway, names));
    assert_eq!(
        run(&gateway, "return kong.db.notes:select_by_name('short') == nil"),
        json!([true])
    );
}

#[test]
fn b05_entities_of_plugins_are_judged_like_all() {
    let (gateway, admin) = start();
    let base = || with(service(1), "keeper", json!({}));
    let mut orphan = base();
    orphan["notes"] = json!([{ "name": "a" }]);
    assert_eq!(
        admin.refuse("", &orphan)["fields"],
        json!({ "notes": [{ "owner": "required field missing" }] })
    );
    let mut lost = base();
    lost["notes"] = json!([{ "name": "a", "owner": "nobody" }]);
    assert_eq!(
        admin.refuse("", &lost)["fields"],
        json!({ "notes": { "a": ["invalid reference 'owner: nobody' (no such entry in 'consumers')"] } })
    );
    let mut twice = base();
    twice["consumers"] =
        json!([{ "username": "bob", "notes": [{ "name": "a" }, { "name": "a", "kind": "x" }] }]);
    let error = admin.refuse("", &twice)["fields"].to_string();
    assert!(
        error.contains("uniqueness violation: 'notes' entity with name set to 'a' already declared"),
        "{error}"
    );
    let mut unknown = base();
    unknown["papers"] = json!([{ "name": "a" }]);
    assert_eq!(
        admin.refuse("", &unknown)["fields"],
        json!({ "papers": "unknown field" })
    );
    assert_eq!(
        run(&gateway, "return kong.db.notes:select_by_name('n01').kind"),
        json!(["k1"])
    );
}
