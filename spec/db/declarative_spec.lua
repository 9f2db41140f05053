-- Declarative files: what is accepted, with which rows, and what is said of the rest.

local cjson = require "cjson"
local declarative = require "moongate.db.declarative"
local declarative_config = require "kong.db.schema.others.declarative_config"
local files = require "kong.db.declarative"
local whole = require "moongate.db.declarative.whole"

local null = ngx.null

-- Plugins of this page: one with a record, one that throws, one with an entity whose secret is made of its
-- consumer.
local plugins = { ["moon-a"] = true, ["moon-throws"] = true, ["moon-auth"] = true }

local function id(n)
  return ("00000000-0000-4000-8000-%012d"):format(n)
end

local function install()
  local typedefs = require "kong.db.schema.typedefs"
  package.loaded["kong.plugins.moon-a.schema"] = {
    name = "moon-a",
    fields = {
      { consumer = typedefs.no_consumer },
      { config = { type = "record", fields = {
        { limit = { type = "integer", default = 5, between = { 1, 10 } } },
        { hosts = { type = "set", elements = { type = "string" }, default = {} } },
      } } },
    },
  }
  package.loaded["kong.plugins.moon-throws.schema"] = {
    name = "moon-throws",
    fields = { { config = { type = "record", fields = {
      { word = { type = "string", custom_validator = function() error("the moon fell") end } },
    } } } },
  }
  package.loaded["kong.plugins.moon-auth.schema"] = {
    name = "moon-auth", fields = { { config = { type = "record", fields = {} } } },
  }
  package.loaded["kong.plugins.moon-auth.daos"] = { {
    name = "moon_credentials", primary_key = { "id" }, cache_key = { "user" }, endpoint_key = "user",
    workspaceable = true, ttl = true,
    fields = {
      { id = typedefs.uuid }, { created_at = typedefs.auto_timestamp_s },
      { consumer = { type = "foreign", reference = "consumers", required = true, on_delete = "cascade" } },
      { user = { type = "string", required = true, unique = true } },
      { secret = { type = "string", required = true } },
    },
    transformations = { {
      input = { "secret" }, needs = { "consumer.id" },
      on_write = function(secret, consumer_id) return { secret = secret .. "@" .. consumer_id } end,
    } },
  } }
end

local function remove()
  for _, name in ipairs { "moon-a.schema", "moon-throws.schema", "moon-auth.schema", "moon-auth.daos" } do
    package.loaded["kong.plugins." .. name] = nil
  end
end

local function load(document, more)
  local options = { plugins = plugins, vaults = { env = true } }
  for k, v in pairs(more or {}) do
    options[k] = v
  end
  return declarative.load(document, options)
end

local function refused(document, more)
  local entities, tree, flat, text, err_t = load(document, more)
  assert.is_nil(entities)
  return tree, flat, text, err_t
end

describe("B4 a declarative file", function()
  lazy_setup(install)
  lazy_teardown(remove)

  it("becomes complete rows, in the order in which they stand", function()
    local entities, meta = load {
      _format_version = "3.0",
      services = { { name = "s2", host = "a.test" }, { name = "s1", url = "https://b.test/x" } },
      routes = { { name = "r", service = "s1", paths = { "/" } } },
      plugins = { { name = "moon-a", route = "r" } },
    }
    assert.same({ _format_version = "3.0", _transform = true, _comment = null, _ignore = null }, meta)
    local s2, s1 = entities.services[1], entities.services[2]
    assert.equal("s2", s2.name)
    assert.same({ "https", 443, "/x", 60000, true },
      { s1.protocol, s1.port, s1.path, s1.read_timeout, s1.enabled })
    assert.same({ id = s1.id }, entities.routes[1].service)
    assert.same({ id = entities.routes[1].id }, entities.plugins[1].route)
    assert.same({ limit = 5, hosts = {} }, entities.plugins[1].config)
    assert.equal('{"hosts":[]}', cjson.encode({ hosts = entities.plugins[1].config.hosts }))
    assert.equal("default", entities.workspaces[1].name)
    assert.equal(entities.workspaces[1].id, s1.ws_id)
    assert.is_nil(s1._comment)
  end)

  it("gives ids by what names an entity, as Kong does", function()
    local entities = load {
      _format_version = "3.0",
      services = { { name = "fooservice", host = "a.test", id = id(7), plugins = { { name = "moon-a" } } } },
      consumers = { { username = "bob", moon_credentials = { { user = "bob", secret = "x" } } } },
      upstreams = { { name = "up.test", targets = { { target = "10.0.0.1:80" } } } },
    }
    local v5 = require("resty.jit-uuid").generate_v5
    local root = "fd02801f-0957-4a15-a55a-c8d9606f30b5"
    local function by(kind, key)
      return v5(v5(root, kind), key)
    end
    assert.equal(id(7), entities.services[1].id)
    assert.equal(by("consumers", "bob"), entities.consumers[1].id)
    assert.equal(by("plugins", "plugins:*:moon-a::" .. id(7) .. ":"), entities.plugins[1].id)
    assert.equal(by("moon_credentials", "moon_credentials:*:bob"), entities.moon_credentials[1].id)
    local up = by("upstreams", "up.test")
    assert.equal(by("targets", "targets:*:" .. up .. ":10.0.0.1:80"), entities.targets[1].id)
  end)

  it("is the same nested and flat", function()
    local nested = load {
      _format_version = "3.0",
      services = { { name = "s", host = "a.test", routes = { {
        name = "r", paths = { "/" }, plugins = { { name = "moon-a", config = { limit = 3 } } },
      } } } },
    }
    local flat = load {
      _format_version = "3.0",
      services = { { name = "s", host = "a.test" } },
      routes = { { name = "r", paths = { "/" }, service = "s" } },
      plugins = { { name = "moon-a", config = { limit = 3 }, route = "r" } },
    }
    for _, kind in ipairs { "services", "routes", "plugins" } do
      local a, b = nested[kind][1], flat[kind][1]
      a.created_at, a.updated_at, b.created_at, b.updated_at = nil, nil, nil, nil
      if kind ~= "plugins" then
        assert.same(b, a)
      else
        -- A reference by name has no part in the id; the id of what an entity stands in has.
        a.id, b.id = nil, nil
        assert.same(b, a)
      end
    end
  end)

  it("may have comments, things to ignore, decK's info and the gateway's own settings", function()
    local entities, meta = load {
      _format_version = "3.0", _comment = "c", _ignore = { 1, { a = 2 } }, _info = { select_tags = { "x" } },
      _gateway = { log_level = "debug" },
      services = { { name = "s", host = "a.test", _comment = "c", _ignore = { 1 } } },
    }
    assert.same({ log_level = "debug" }, meta._gateway)
    assert.equal("c", meta._comment)
    assert.is_nil(entities.services[1]._ignore)
    assert.same({ _workspace = "unknown field" }, (refused { _format_version = "3.0", _workspace = "w" }))
  end)

  it("transforms what its schema transforms, unless it says otherwise", function()
    local function secret(transform)
      local entities = load {
        _format_version = "3.0", _transform = transform,
        consumers = { { username = "bob", id = id(1) } },
        moon_credentials = { { consumer = "bob", user = "u", secret = "x" } },
      }
      return entities.moon_credentials[1].secret
    end
    assert.equal("x@" .. id(1), secret(nil))
    assert.equal("x@" .. id(1), secret(true))
    assert.equal("x", secret(false))
  end)

  it("in the formats 1.1 and 2.1 has its routes' paths marked", function()
    local entities, meta = load {
      _format_version = "2.1",
      services = { { name = "s", host = "a.test", routes = { {
        name = "r", paths = { "/a\\d+", "/b%2Ec" },
      } } } },
    }
    assert.same({ "~/a\\d+", "/b.c" }, entities.routes[1].paths)
    assert.equal("3.0", meta._format_version)
  end)

  it("hands its rows over one by one, and gives itself up meanwhile when it can be had again", function()
    local rows, asked, last = {}, 0, nil
    local function document()
      asked = asked + 1
      last = { _format_version = "3.0", services = { { name = "s", host = "a.test" } } }
      return last
    end
    local ok = load(document, { sink = function(kind, row) rows[#rows + 1] = kind .. ":" .. row.name end })
    assert.is_true(ok)
    assert.same({ "workspaces:default", "services:s" }, rows)
    assert.equal(1, asked)
    assert.is_nil(last.services)
  end)

  it("passes on what a sink raises", function()
    assert.error_matches(function()
      load({ _format_version = "3.0", services = { { host = "a.test" } } }, {
        sink = function() error("full", 0) end, reset = function() end,
      })
    end, "full")
    assert.equal("in entry 1 of 'services'", declarative.where())
    load { _format_version = "3.0" }
    assert.is_nil(declarative.where())
  end)

  it("has its own default workspace if it has one", function()
    local entities = load {
      _format_version = "3.0",
      workspaces = { { name = "default", id = id(9) } }, services = { { host = "a.test" } },
    }
    assert.equal(1, #entities.workspaces)
    assert.equal(id(9), entities.services[1].ws_id)
  end)
end)

describe("B4 a refused declarative file", function()
  lazy_setup(install)
  lazy_teardown(remove)

  it("has each error at its place", function()
    local tree, _, text = refused {
      _format_version = "4.0",
      services = { { name = "s", host = "a.test", retries = -1, routes = { { paths = { "x" } } } }, 5 },
      plugins = { { name = "nope" }, { name = "moon-a", consumer = "bob", config = { limit = 11 } } },
      routes = "all",
      moons = {},
    }
    assert.same({
      _format_version = "expected one of: 1.1, 2.1, 3.0",
      services = {
        { retries = "value should be between 0 and 32767",
          routes = { { paths = { "should start with: / (fixed path) or ~/ (regex path)" } } } },
        "expected a record",
      },
      plugins = {
        { name = "plugin 'nope' not enabled; add it to the 'plugins' configuration property" },
        -- The consumer is nowhere; that it must not be given is what the first look found.
        { config = { limit = "value should be between 1 and 10" }, consumer = "value must be null" },
      },
      routes = "expected an array",
      moons = "unknown field",
    }, tree)
    assert.matches("^in '_format_version': expected one of: 1.1, 2.1, 3.0\nin 'moons': unknown field\n", text)
    assert.matches("\nin 'services':\n  %- in entry 1 of 'services':\n    in 'retries': value should", text)
  end)

  it("says what is there twice", function()
    local function twice(kind, a, b)
      return refused({ _format_version = "3.0", [kind] = { a, b } })[kind]
    end
    local already = "' already declared"
    assert.same({ [2] = "uniqueness violation: 'consumers' entity with username set to 'bob" .. already },
      twice("consumers", { username = "bob" }, { username = "bob", id = id(3) }))
    local twin = "uniqueness violation: 'services' entity with primary key set to '" .. id(3) .. already
    assert.same({ [2] = twin },
      twice("services", { host = "a.test", id = id(3) }, { host = "b.test", id = id(3) }))
    assert.same({ b = "uniqueness violation: 'consumers' entity with custom_id set to 'x" .. already },
      twice("consumers", { username = "a", custom_id = "x" }, { username = "b", custom_id = "x" }))
  end)

  it("says which reference leads nowhere", function()
    assert.same({ routes = { r = { "invalid reference 'service: gone' (no such entry in 'services')" } } },
      (refused { _format_version = "3.0", routes = { { name = "r", paths = { "/" }, service = "gone" } } }))
  end)

  it("keeps errors of a schema's own functions to the entity", function()
    local tree = refused {
      _format_version = "3.0",
      plugins = { { name = "moon-throws", config = { word = "x" } }, { name = "moon-a" } },
    }
    assert.is_nil(tree.plugins[2])
    assert.matches("the moon fell", cjson.encode(tree.plugins[1]))
  end)

  it("says which regular expression is none", function()
    local tree = refused { _format_version = "3.0", routes = { { name = "r", paths = { "/ok", "~/a(" } } } }
    assert.matches("^invalid regex: '/a%('.*missing", tree.routes[1].paths[2])
  end)

  it("that contains itself or nests without end is told where", function()
    local service = { name = "s", host = "a.test" }
    service._ignore = { service }
    local tree = refused { _format_version = "3.0", services = { service } }
    assert.matches("^nested too deeply %(at services%.1%._ignore%.1%._ignore%.%.%.%)$", tree.services)
    local deep = {}
    for _ = 1, 1000 do
      deep = { deep }
    end
    tree = refused { _format_version = "3.0", _comment = deep }
    assert.matches("^nested too deeply", tree._comment)
  end)

  it("of any wrong type has an error and no crash", function()
    local wrong = { 1, true, "x", null, {}, { 1 }, { a = 1 }, { { {} } } }
    local kinds = { "services", "routes", "plugins", "consumers", "targets", "certificates", "workspaces" }
    for _, kind in ipairs(kinds) do
      for _, value in ipairs(wrong) do
        local entity = { name = value, id = value, routes = value, tags = value }
        for _, list in ipairs { value, { value }, { entity } } do
          local document = { _format_version = "3.0", [kind] = list }
          local entities, tree, flat, text = load(document, { flatten_errors = true })
          if not entities then
            assert.is_table(tree)
            assert.is_table(flat)
            assert.not_equal("", text)
          end
        end
      end
    end
    local no_object = { error = "failed parsing declarative configuration: expected an object" }
    assert.same(no_object, (refused("text")))
    assert.same(no_object, (refused(nil)))
  end)

  it("is told entity by entity", function()
    local tree, flat, _, err_t = refused({
      _format_version = "3.0",
      services = { { name = "s", id = id(1), host = "a.test", port = -1, tags = { "t" },
        routes = { { name = "r", protocols = { "nope" } } } } },
      moons = 1,
    }, { flatten_errors = true })
    assert.same({ moons = "unknown field" }, tree)
    assert.equal(2, #flat)
    assert.same({ entity_type = "route", entity_name = "r", entity = { name = "r", protocols = { "nope" },
        service = { id = id(1) } },
      errors = { { type = "field", field = "protocols", message = "unknown type: nope" } } }, flat[1])
    assert.equal("service", flat[2].entity_type)
    assert.equal(id(1), flat[2].entity_id)
    assert.same({ "t" }, flat[2].entity_tags)
    assert.same({ { type = "field", field = "port", message = "value should be between 0 and 65535" } },
      flat[2].errors)
    assert.equal(14, err_t.code)
    assert.equal(flat, err_t.flattened_errors)
    assert.same(tree, err_t.fields)
  end)
end)

describe("B4 one pass over a file", function()
  local schema

  lazy_setup(function()
    install()
    schema = assert(declarative_config.load(plugins, { env = true }))
  end)
  lazy_teardown(remove)

  local function document()
    return {
      _format_version = "3.0",
      certificates = {},
      key_sets = { { name = "k" } },
      services = { { name = "s", host = "a.test", tags = { "b", "a", "b" }, routes = {
        { name = "r1", paths = { "/" }, plugins = { { name = "moon-a", instance_name = "i" } } },
        { name = "r2", protocols = { "grpc" }, hosts = { "g.test" } },
      } } },
      routes = {
        { name = "r3", service = "s", headers = { x = { "1" } } }, { name = "r4", paths = { "/4" } },
      },
      consumers = { {
        username = "bob", custom_id = "1", moon_credentials = { { user = "u", secret = "x" } },
      } },
      moon_credentials = { { consumer = "bob", user = "v", secret = "y", ttl = 10 } },
      upstreams = { {
        name = "up.test", targets = { { target = "10.0.0.1:80" }, { target = "10.0.0.2:80" } },
      } },
      plugins = { { name = "moon-a", service = "s", config = { limit = 2, hosts = { "x", "x" } } } },
      vaults = { { name = "env", prefix = "my-env", config = { prefix = "X_" } } },
    }
  end

  local function without_times(entities)
    for _, rows in pairs(entities) do
      for _, row in pairs(rows) do
        row.created_at, row.updated_at = nil, nil
      end
    end
    return entities
  end

  it("makes the rows that the whole judgement makes", function()
    local passed = assert(schema:flatten(document()))
    local input = document()
    input._transform = true
    local judged = assert(whole.flatten(schema.kinds, input))
    assert.same(without_times(judged), without_times(passed))
    local n = 0
    for _ in pairs(passed.routes) do
      n = n + 1
    end
    assert.equal(4, n)
  end)

  it("leaves the file as it was", function()
    local input, same = document(), document()
    assert(schema:flatten(input))
    same._transform = true
    assert.same(same, input)
  end)

  it("is not taken for a file that is not right", function()
    local input = document()
    -- A kind whose checks look at references has them filled in first, and says of them what a primary key
    -- lacks.
    input.moon_credentials, input.consumers[1].moon_credentials = nil, nil
    input.routes[1].service = "t"
    local entities, errs = schema:flatten(input)
    assert.is_nil(entities)
    assert.same({ r3 = { "invalid reference 'service: t' (no such entry in 'services')" } }, errs.routes)
  end)
end)

describe("B4 kong.db.declarative", function()
  local reader

  lazy_setup(function()
    install()
    reader = assert(files.new_config { loaded_plugins = plugins, loaded_vaults = { env = true } })
  end)
  lazy_teardown(remove)

  it("reads JSON and YAML", function()
    for _, text in ipairs {
      '{"_format_version":"3.0","services":[{"name":"s","host":"a.test"}]}',
      "_format_version: '3.0'\nservices:\n- name: s\n  host: a.test\n  tags: ~\n",
    } do
      local entities, err, _, meta, hash = reader:parse_string(text)
      assert.is_nil(err)
      local _, service = next(entities.services)
      assert.equal("s", service.name)
      assert.equal(null, service.tags)
      assert.equal("3.0", meta._format_version)
      assert.equal(ngx.md5(text), hash)
      local _, same = reader:parse_string(text, nil, hash)
      assert.equal("configuration is identical", same)
    end
  end)

  it("says what is no file, and where", function()
    local _, err, err_t = reader:parse_string("services: [")
    assert.matches("^failed parsing declarative configuration: %d+:%d+: ", err)
    assert.same({ error = err }, err_t)
    _, err = reader:parse_string("5")
    assert.equal("failed parsing declarative configuration: expected an object", err)
    _, err = reader:parse_string("{}", "kong.txt")
    assert.equal("unknown file type: kong.txt. (Accepted types: json, yaml)", err)
    _, err = reader:parse_string("services: [{}]")
    assert.equal("in '_format_version': required field missing\n"
      .. "in 'services':\n  - in entry 1 of 'services':\n    in 'host': required field missing", err)
  end)

  it("writes what it reads", function()
    local text = assert(files.to_yaml_string {
      _format_version = "3.0", _transform = false,
      services = { { name = "yes", host = "a.test", port = 80, path = "/a: #b", tags = { "1", "~", "x y" },
        enabled = true, retries = null } },
    })
    local document = require("lyaml").read(text)
    assert.same({ name = "yes", host = "a.test", port = 80, path = "/a: #b", tags = { "1", "~", "x y" },
      enabled = true, retries = null }, document.services[1])
    assert.is_false(document._transform)
  end)

  it("computes keys and says what it cannot do", function()
    assert.equal("I|routes|w|p", files.item_key("routes", "w", "p"))
    assert.equal("I|routes|", files.item_key_prefix("routes", "*"))
    assert.equal("F|routes|service|s|w|", files.foreign_field_key_prefix("routes", "w", "service", "s"))
    assert.error_matches(function() files.load_into_db({}, {}) end,
      "not supported: kong.db.declarative.load_into_db")
  end)

  it("takes workspaces out of what it shows", function()
    local entities = { workspaces = {}, services = { a = { ws_id = "w", name = "s" } } }
    files.sanitize_output(entities)
    assert.same({ services = { a = { name = "s" } } }, entities)
  end)
end)

describe("B4 lyaml", function()
  local lyaml = require "lyaml"

  it("tells plain scalars as YAML 1.1 does", function()
    assert.same({ true, false, true, 8, 31, "yes", "1.2.3.4", 1.5 },
      lyaml.load "[yes, off, TRUE, 010, 0x1f, 'yes', 1.2.3.4, 1.5]")
  end)

  it("has its own null", function()
    local read = lyaml.load "{a: ~, b: [null]}"
    assert.equal(lyaml.null, read.a)
    assert.equal(lyaml.null, read.b[1])
    assert.equal("~\n", lyaml.dump({ lyaml.null }):sub(5, -5))
  end)

  it("resolves anchors and merges", function()
    assert.same({ x = { p = 1, q = 2 }, y = { p = 3, q = 2 } },
      lyaml.load "x: &a {p: 1, q: 2}\ny:\n  <<: *a\n  p: 3\n")
  end)

  it("reads back what it writes", function()
    local value = {
      list = { 1, 2.5, -3, { a = { "b", { c = "d" } } }, {} }, text = "two\nlines", quote = "it's",
      number = "12", truth = false, ["odd key: #"] = "- x", deep = { { { 1 } } }, big = 2 ^ 40,
      empty = "", bytes = "\1\127é",
    }
    assert.same(value, lyaml.load(lyaml.dump { value }))
  end)

  it("reads one document or all", function()
    assert.same({ a = 1 }, lyaml.load "a: 1\n---\nb: 2\n")
    assert.same({ { a = 1 }, { b = 2 } }, lyaml.load("a: 1\n---\nb: 2\n", { all = true }))
    assert.is_nil(lyaml.load "")
  end)

  it("raises what is wrong, with its place, and stands bombs", function()
    local ok, err = pcall(lyaml.load, "a: [1\nb: 2")
    assert.is_false(ok)
    assert.equal("2:2: did not find expected ',' or ']'", err)
    ok, err = pcall(lyaml.load, ("["):rep(1000) .. ("]"):rep(1000))
    assert.is_false(ok)
    assert.is_string(err)
    local lines = { "a0: &a0 [x,x,x,x,x,x,x,x,x,x]" }
    for i = 1, 9 do
      local refs = {}
      for j = 1, 10 do
        refs[j] = "*a" .. i - 1
      end
      lines[#lines + 1] = ("a%d: &a%d [%s]"):format(i, i, table.concat(refs, ","))
    end
    ok, err = pcall(lyaml.load, table.concat(lines, "\n"))
    assert.is_false(ok)
    assert.matches("expands to too much", err)
    local loop = {}
    loop.x = loop
    assert.error_matches(function() lyaml.dump { loop } end, "nested too deeply")
  end)
end)
