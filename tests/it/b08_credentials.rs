//! Plugins that authenticate: credentials through `kong.db` and `kong.cache`, consumers, groups.

use base64::Engine;
use serde_json::{Value, json};

use crate::b05_dao::in_seconds;
use crate::support::{Admin, Gateway, Origin, Response, Setup, service};

/// Finds a token in a header, takes the cached credential and consumer, and tells upstream who it is.
const TOKEN: &str = r#"
local HEADERS = require("kong.constants").HEADERS
local P = { PRIORITY = 1200, VERSION = "1.0.0" }
local function load(token)
  ngx.shared.kong:incr("loads", 1, 0)
  local found, err = kong.db.tokens:select_by_token(token)
  if not found then return nil, err end
  return found, nil, found.ttl
end
local function consumer_of(id, by_name)
  local consumer, err = kong.cache:get(kong.db.consumers:cache_key(id), nil, kong.client.load_consumer, id, by_name)
  assert(not err, err)
  return consumer
end
local function tell(consumer, credential)
  kong.client.authenticate(consumer, credential)
  local set = kong.service.request.set_header
  set(HEADERS.CONSUMER_ID, consumer.id)
  set(HEADERS.CONSUMER_USERNAME, consumer.username)
  if consumer.custom_id then set(HEADERS.CONSUMER_CUSTOM_ID, consumer.custom_id) end
  if credential then
    set(HEADERS.CREDENTIAL_IDENTIFIER, credential.id)
    kong.service.request.clear_header(HEADERS.ANONYMOUS)
  else
    set(HEADERS.ANONYMOUS, true)
  end
end
function P:access(conf)
  local token = kong.request.get_header("x-token")
  local credential, err = nil, nil
  if token then
    credential, err = kong.cache:get(kong.db.tokens:cache_key(token), nil, load, token)
    assert(not err, err)
  end
  if credential then
    return tell(consumer_of(credential.consumer.id), credential)
  elseif conf.anonymous then
    return tell(consumer_of(conf.anonymous, true))
  end
  kong.response.error(401, token and "Unauthorized" or "No token", { ["WWW-Authenticate"] = "Token" })
end
return P
"#;

const TOKEN_SCHEMA: &str = r#"
return { name = "token", fields = {
  { consumer = require("kong.db.schema.typedefs").no_consumer },
  { config = { type = "record", fields = { { anonymous = { type = "string" } } } } },
} }
"#;

const TOKEN_DAOS: &str = r#"
local typedefs = require "kong.db.schema.typedefs"
return { {
  name = "tokens", primary_key = { "id" }, endpoint_key = "token", cache_key = { "token" }, workspaceable = true,
  ttl = true,
  fields = {
    { id = typedefs.uuid },
    { consumer = { type = "foreign", reference = "consumers", required = true, on_delete = "cascade" } },
    { token = { type = "string", unique = true, auto = true } },
    { tags = typedefs.tags },
  },
} }
"#;

/// Name and password, the password stored as a digest.
const LOGIN: &str = r#"
local digest = require("kong.plugins.login.digest")
local P = { PRIORITY = 1100, VERSION = "1.0.0" }
function P:access(conf)
  local sent = ngx.decode_base64((kong.request.get_header("authorization") or ""):match("^Basic (.+)$") or "") or ""
  local name, password = sent:match("^([^:]+):(.*)$")
  local login = name and kong.cache:get(kong.db.logins:cache_key(name), nil, function()
    return kong.db.logins:select_by_name(name)
  end)
  if not login or login.password ~= digest(login.consumer.id, password) then
    return kong.response.error(401, nil, { ["WWW-Authenticate"] = 'Basic realm="' .. conf.realm .. '"' })
  end
  local consumer = kong.client.load_consumer(login.consumer.id)
  kong.client.authenticate(consumer, login)
  kong.service.request.set_header("X-Consumer-Username", consumer.username)
end
return P
"#;

const LOGIN_SCHEMA: &str = r#"
return { name = "login", fields = { { config = { type = "record", fields = {
  { realm = { type = "string", required = true, default = "here" } },
} } } } }
"#;

const LOGIN_DAOS: &str = r#"
local typedefs = require "kong.db.schema.typedefs"
local digest = require "kong.plugins.login.digest"
return { {
  name = "logins", primary_key = { "id" }, endpoint_key = "name", cache_key = { "name" }, workspaceable = true,
  fields = {
    { id = typedefs.uuid },
    { consumer = { type = "foreign", reference = "consumers", required = true, on_delete = "cascade" } },
    { name = { type = "string", required = true, unique = true } },
    { password = { type = "string", required = true, encrypted = true } },
  },
  transformations = { {
    input = { "password" },
    needs = { "consumer.id" },
    on_write = function(password, id) return { password = digest(id, password) } end,
  } },
} }
"#;

const DIGEST: &str = r#"
local sha256 = require("kong.tools.sha256").sha256_hex
return function(salt, text) return (assert(sha256(text .. salt))) end
"#;

/// Lets only members in.
const MEMBERS: &str = r#"
local P = { PRIORITY = 900, VERSION = "1.0.0" }
local function load(id)
  local groups = {}
  for row, err in kong.db.members:each_for_consumer({ id = id }) do
    if err then return nil, err end
    groups[#groups + 1] = row.group
  end
  table.sort(groups)
  return groups
end
function P:access(conf)
  local consumer = kong.client.get_consumer()
  if not consumer then return kong.response.error(401) end
  local groups = assert(kong.cache:get(kong.db.members:cache_key(consumer.id), nil, load, consumer.id))
  kong.ctx.shared.authenticated_groups = groups
  ngx.ctx.authenticated_groups = groups
  for _, group in ipairs(groups) do
    for _, allowed in ipairs(conf.allow) do
      if group == allowed then
        return kong.service.request.set_header("X-Consumer-Groups", table.concat(groups, ", "))
      end
    end
  end
  kong.response.error(403, "You are no member")
end
return P
"#;

const MEMBERS_SCHEMA: &str = r#"
return { name = "members", fields = { { config = { type = "record", fields = {
  { allow = { type = "array", required = true, elements = { type = "string" } } },
} } } } }
"#;

const MEMBERS_DAOS: &str = r#"
local typedefs = require "kong.db.schema.typedefs"
return { {
  name = "members", primary_key = { "id" }, cache_key = { "consumer", "group" }, workspaceable = true,
  fields = {
    { id = typedefs.uuid },
    { consumer = { type = "foreign", reference = "consumers", required = true, on_delete = "cascade" } },
    { group = { type = "string", required = true } },
  },
} }
"#;

/// Says for whom it was configured, and which groups there are in log.
const MARK: &str = r#"
local P = { PRIORITY = 10, VERSION = "1.0.0" }
function P:access(conf)
  kong.response.set_header("X-Mark", conf.tag .. " " .. (conf.consumer_id or "-"))
  kong.response.set_header("X-Credential", (kong.client.get_credential() or {}).id or "-")
end
function P:log(conf)
  kong.log.err("groups: ", table.concat(ngx.ctx.authenticated_groups or {}, "+"), " of ",
    (kong.client.get_consumer() or {}).username)
end
return P
"#;

/// `/token`, `/open` (token or anonymous), `/login`, `/club` (token and member).
fn config(port: u16) -> Value {
    let mut config = service(port);
    let route = |name: &str, plugins: Value| json!({ "name": name, "paths": [format!("/{name}")], "strip_path": false, "plugins": plugins });
    config["services"][0]["routes"] = json!([
        route("token", json!([{ "name": "token" }])),
        route(
            "open",
            json!([{ "name": "token", "config": { "anonymous": "nobody" } }])
        ),
        route("login", json!([{ "name": "login" }])),
        route(
            "club",
            json!([{ "name": "token" }, { "name": "members", "config": { "allow": ["gold", "silver"] } }])
        ),
        route(
            "guarded",
            json!([{ "name": "members", "config": { "allow": ["gold"] } }])
        ),
    ]);
    config["consumers"] = json!([
        { "username": "ann", "custom_id": "7", "tokens": [{ "token": "ann-1" }, { "token": "ann-2" }],
          "logins": [{ "name": "ann", "password": "secret:word" }],
          "members": [{ "group": "gold" }, { "group": "admins" }],
          "plugins": [{ "name": "mark", "config": { "tag": "anns" } }] },
        { "username": "bob", "tokens": [{ "token": "bob-1" }], "members": [{ "group": "tin" }] },
        { "username": "nobody", "plugins": [{ "name": "mark", "config": { "tag": "nobodys" } }] },
    ]);
    config["plugins"] = json!([{ "name": "mark", "config": { "tag": "everybodys" } }]);
    config
}

fn start(port: u16) -> (Gateway, Admin) {
    let (setup, admin) = Setup::new(&config(port))
        .plugin("mark", MARK)
        .plugin("token", TOKEN)
        .lua("kong/plugins/token/schema.lua", TOKEN_SCHEMA)
        .lua("kong/plugins/token/daos.lua", TOKEN_DAOS)
        .plugin("login", LOGIN)
        .lua("kong/plugins/login/schema.lua", LOGIN_SCHEMA)
        .lua("kong/plugins/login/daos.lua", LOGIN_DAOS)
        .lua("kong/plugins/login/digest.lua", DIGEST)
        .plugin("members", MEMBERS)
        .lua("kong/plugins/members/schema.lua", MEMBERS_SCHEMA)
        .lua("kong/plugins/members/daos.lua", MEMBERS_DAOS)
        .admin();
    (setup.start(), admin)
}

#[track_caller]
fn marked(r: &Response, tag: &str) {
    let mark = r.header("x-mark").unwrap_or("none");
    assert!(mark.starts_with(&format!("{tag} ")), "{mark}");
}

#[test]
fn b08_tokens_authenticate() {
    let origin = Origin::echo();
    let (gateway, _) = start(origin.port);
    let r = gateway.get("/token", &[]).is(401);
    assert_eq!(r.header("www-authenticate"), Some("Token"));
    assert_eq!(r.json()["message"], "No token");
    assert!(r.json()["request_id"].is_string());
    let r = gateway.get("/token", &[("x-token", "wrong")]).is(401);
    assert_eq!(r.json()["message"], "Unauthorized");
    assert!(origin.seen().is_empty());
    let spoof = [
        ("x-token", "ann-2"),
        ("X-Consumer-Username", "root"),
        ("X-Anonymous-Consumer", "true"),
    ];
    let r = gateway.get("/token", &spoof).is(200);
    marked(&r, "anns");
    assert_eq!(r.seen_all("x-consumer-username"), ["ann"]);
    assert_eq!(r.seen("x-consumer-custom-id").as_deref(), Some("7"));
    assert_eq!(r.seen("x-anonymous-consumer"), None);
    let id = r.seen("x-consumer-id").unwrap();
    assert_eq!(
        r.header("x-mark"),
        Some(format!("anns {id}").as_str()),
        "for the consumer"
    );
    assert_eq!(
        r.seen("x-credential-identifier").as_deref(),
        r.header("x-credential")
    );
    let r = gateway.get("/token", &[("x-token", "bob-1")]).is(200);
    marked(&r, "everybodys");
    assert_eq!(r.seen("x-consumer-username").as_deref(), Some("bob"));
    assert_eq!(r.seen("x-consumer-custom-id"), None);
}

#[test]
fn b08_the_anonymous_are_somebody() {
    let origin = Origin::echo();
    let (gateway, _) = start(origin.port);
    for headers in [&[][..], &[("x-token", "wrong")][..]] {
        let r = gateway.get("/open", headers).is(200);
        marked(&r, "nobodys");
        assert_eq!(r.seen("x-consumer-username").as_deref(), Some("nobody"));
        assert_eq!(r.seen("x-anonymous-consumer").as_deref(), Some("true"));
        assert_eq!(r.header("x-credential"), Some("-"));
    }
    let r = gateway.get("/open", &[("x-token", "ann-1")]).is(200);
    marked(&r, "anns");
    assert_eq!(r.seen("x-anonymous-consumer"), None);
}

#[test]
fn b08_passwords_are_kept_as_digests() {
    let origin = Origin::echo();
    let (gateway, admin) = start(origin.port);
    let login = |text: &str| gateway.get("/login", &[("Authorization", &basic(text))]);
    let r = login("ann:secret:word").is(200);
    marked(&r, "anns");
    assert_eq!(r.seen("x-consumer-username").as_deref(), Some("ann"));
    for wrong in ["ann:secret", "ann:", "bob:secret:word", "", "ann"] {
        let r = login(wrong).is(401);
        assert_eq!(
            r.header("www-authenticate"),
            Some("Basic realm=\"here\""),
            "{wrong}"
        );
        assert_eq!(r.json()["message"], "Unauthorized");
    }
    let exported = admin.export();
    assert!(!exported.contains("secret:word"), "{exported}");
    admin.post("", "text/yaml", &exported).is(201);
    login("ann:secret:word").is(200);
}

#[test]
fn b08_members_are_let_in() {
    let origin = Origin::echo();
    let (gateway, _) = start(origin.port);
    gateway.get("/club", &[]).is(401);
    let r = gateway.get("/club", &[("x-token", "bob-1")]).is(403);
    assert_eq!(r.json()["message"], "You are no member");
    let r = gateway.get("/club", &[("x-token", "ann-1")]).is(200);
    assert_eq!(r.seen("x-consumer-groups").as_deref(), Some("admins, gold"));
    gateway.logged("groups: admins+gold of ann");
    let r = gateway.get("/guarded", &[("x-token", "ann-1")]).is(401);
    assert_eq!(
        r.json()["message"],
        "Unauthorized",
        "without a plugin that authenticates there is nobody"
    );
}

#[test]
fn b08_credentials_are_cached_until_the_configuration_changes() {
    let origin = Origin::echo();
    let (gateway, admin) = start(origin.port);
    for _ in 0..5 {
        gateway.get("/token", &[("x-token", "ann-1")]).is(200);
        gateway.get("/token", &[("x-token", "later")]).is(401);
    }
    let mut changed = config(origin.port);
    changed["consumers"][0]["tokens"] = json!([{ "token": "later" }]);
    changed["consumers"][0]["username"] = json!("anna");
    admin.accept(&changed);
    gateway.get("/token", &[("x-token", "ann-1")]).is(401);
    let r = gateway.get("/token", &[("x-token", "later")]).is(200);
    assert_eq!(r.seen("x-consumer-username").as_deref(), Some("anna"));
    marked(&r, "anns");
    let mut expiring = config(origin.port);
    expiring["consumers"][0]["tokens"] = json!([{ "token": "ann-1", "ttl": in_seconds(3) }]);
    admin.accept(&expiring);
    gateway.get("/token", &[("x-token", "ann-1")]).is(200);
    let gone = crate::support::eventually(std::time::Duration::from_secs(8), || {
        gateway.get("/token", &[("x-token", "ann-1")]).status == 401
    });
    assert!(gone, "a credential lives no longer than its ttl, cached or not");
}

#[test]
fn b08_tokens_may_be_made_by_the_gateway() {
    let origin = Origin::echo();
    let (gateway, admin) = start(origin.port);
    let mut config = config(origin.port);
    config["consumers"][1]["tokens"] = json!([{ "tags": ["made"] }]);
    let entities = admin.accept(&config);
    let tokens = entities["tokens"].as_object().unwrap().values();
    let made = tokens.into_iter().find(|t| t["tags"] == json!(["made"])).unwrap();
    let token = made["token"].as_str().unwrap();
    assert!(token.len() >= 32, "{token}");
    let r = gateway.get("/token", &[("x-token", token)]).is(200);
    assert_eq!(r.seen("x-consumer-username").as_deref(), Some("bob"));
}

/// The value of an `Authorization` header for `name:password`.
pub fn basic(text: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text))
}
