local rows = require "spec.db.rows"

local CONSUMER = "11111111-1111-4111-8111-111111111111"
local OTHER = "22222222-2222-4222-8222-222222222222"
local WORKSPACE = "0dc6f45b-8f8d-40d2-a504-473544ee190b"

local function id(n)
  return ("%08d-0000-4000-8000-000000000000"):format(n)
end

describe("B5 kong.db over a snapshot", function()
  local db, data, cache_keys, calls, typedefs

  lazy_setup(function()
    typedefs = require "kong.db.schema.typedefs"
    package.preload["kong.plugins.spec-keys.handler"] = function()
      return { PRIORITY = 1250, VERSION = "1.2.3-rc.0", access = function() end }
    end
    package.preload["kong.plugins.spec-keys.schema"] = function()
      return { name = "spec-keys", fields = {
        { consumer = typedefs.no_consumer },
        { config = { type = "record", fields = {
          { names = { type = "set", elements = { type = "string" }, default = { "apikey" } } },
          { hide = { type = "boolean", default = true } },
        } } },
      } }
    end
    package.preload["kong.plugins.spec-keys.daos"] = function()
      return {
        {
          name = "spec_keys", primary_key = { "id" }, endpoint_key = "key", cache_key = { "key" }, ttl = true,
          workspaceable = true,
          fields = {
            { id = typedefs.uuid },
            { created_at = typedefs.auto_timestamp_s },
            { consumer = {
              type = "foreign", reference = "consumers", required = true, on_delete = "cascade",
            } },
            { key = { type = "string", unique = true, auto = true } },
            { note = { type = "string", default = "none" } },
            { tags = typedefs.tags },
          },
        },
        {
          name = "spec_groups", primary_key = { "id" }, cache_key = { "consumer", "group" },
          workspaceable = true,
          fields = {
            { id = typedefs.uuid },
            { consumer = { type = "foreign", reference = "consumers", required = true } },
            { group = { type = "string", required = true } },
          },
        },
      }
    end

    rows.replace("default_workspace", nil)
    rows.replace("configuration", { database = "off", role = "traditional", loaded_plugins = { ["spec-keys"] = true } })
    local DB = require "kong.db"
    db = assert(DB.new({ database = "off", loaded_plugins = { ["spec-keys"] = true } }))
    rows.replace("db", db)
    assert(db:init_connector())
    assert(db.plugins:load_plugin_schemas({ ["spec-keys"] = true }))
  end)

  before_each(function()
    data = {
      consumers = {
        { id = CONSUMER, username = "ann", created_at = 1, updated_at = 1, tags = { "red", "blue" } },
        { id = OTHER, custom_id = "o", created_at = 2, updated_at = 2, tags = { "red" } },
      },
      spec_keys = {},
      spec_groups = { { id = id(1), consumer = { id = CONSUMER }, group = "staff" } },
    }
    for n = 1, 5 do
      local consumer = { id = n < 4 and CONSUMER or OTHER }
      data.spec_keys[n] = { id = id(n), key = "k" .. n, created_at = n, consumer = consumer }
    end
    cache_keys = { spec_groups = {
      ["spec_groups:" .. CONSUMER .. ":staff::::" .. WORKSPACE] = data.spec_groups[1],
    } }
    calls = rows.install(data, cache_keys)
  end)

  lazy_teardown(rows.restore)

  describe("reading", function()
    it("finds an entity by its id, unset fields absent", function()
      assert.same({
        id = CONSUMER, username = "ann", created_at = 1, updated_at = 1, tags = { "red", "blue" },
      }, db.consumers:select({ id = CONSUMER }))
      assert.same({ nil, nil, nil }, { db.consumers:select({ id = id(9) }) })
      assert.equal(2, calls.get)
    end)

    it("shows nulls and the workspace when asked to", function()
      local found = db.consumers:select({ id = CONSUMER }, { nulls = true, show_ws_id = true })
      assert.equal(ngx.null, found.custom_id)
      assert.equal(WORKSPACE, found.ws_id)
    end)

    it("finds one by a unique field, and gives no default to what was left unset", function()
      local found = assert(db.spec_keys:select_by_key("k2"))
      assert.equal(id(2), found.id)
      assert.same({ id = CONSUMER }, found.consumer)
      assert.is_nil(found.note)
      assert.is_nil(found.ws_id)
      assert.is_nil(db.spec_keys:select_by_key("none"))
    end)

    it("refuses keys of the wrong kind in Kong's words", function()
      local none, err, err_t = db.consumers:select({ id = "x" })
      assert.is_nil(none)
      assert.equal("[off] invalid primary key: '{id=\"expected a valid UUID\"}'", err)
      assert.equal(1, err_t.code)
      none, err, err_t = db.spec_keys:select_by_key("")
      assert.is_nil(none)
      assert.equal("[off] length must be at least 1", err)
      assert.equal("invalid unique key", err_t.name)
      assert.has_error(function() db.spec_keys:select_by_key(1) end, "key must be a string")
      assert.has_error(function() db.consumers:select("x") end, "primary_key must be a table")
    end)

    it("hides what has expired and counts down what will", function()
      data.spec_keys[1].ttl = ngx.time() - 1
      data.spec_keys[2].ttl = ngx.time() + 100
      assert.is_nil(db.spec_keys:select_by_key("k1"))
      local left = db.spec_keys:select_by_key("k2").ttl
      assert.is_true(left > 90 and left <= 100)
      local seen = {}
      for key in db.spec_keys:each(2) do
        seen[#seen + 1] = key.key
      end
      assert.same({ "k2", "k3", "k4", "k5" }, seen)
    end)

    it("knows no other workspace", function()
      assert.is_nil(db.spec_keys:select_by_key("k1", { workspace = OTHER }))
      assert.is_table(db.spec_keys:select_by_key("k1", { workspace = "default" }))
      local _, err, err_t = db.spec_keys:select_by_key("k1", { workspace = "nowhere" })
      assert.equal("[off] invalid option (workspace: invalid workspace)", err)
      assert.equal(11, err_t.code)
      _, _, err_t = db.spec_keys:select_by_key("k1", { workspace = ngx.null })
      assert.equal("unique key key is invalid for global query", err_t.message)
    end)

    it("has the default workspace before any configuration", function()
      assert.equal(WORKSPACE, db.workspaces:select_by_name("default").id)
      assert.is_nil(db.workspaces:select_by_name("other"))
    end)

    it("finds nothing where there is no snapshot", function()
      rows.remove()
      local ops = require "moongate.ops"
      local own = ops.db
      ops.db = nil
      finally(function() ops.db = own end)
      assert.is_nil(db.consumers:select({ id = CONSUMER }))
      assert.same({}, db.consumers:page())
    end)
  end)

  describe("pages", function()
    it("come with an offset until the end", function()
      local keys, n, offset = {}, 0, nil
      repeat
        local page, err, err_t
        page, err, err_t, offset = db.spec_keys:page(2, offset)
        assert.is_nil(err or err_t)
        n = n + 1
        for _, key in ipairs(page) do
          keys[#keys + 1] = key.key
        end
      until not offset
      assert.same({ "k1", "k2", "k3", "k4", "k5" }, keys)
      assert.equal(3, n)
    end)

    it("of a parent have only what is its own", function()
      local page, _, _, offset = db.spec_keys:page_for_consumer({ id = CONSUMER }, 2)
      assert.equal(2, #page)
      page, _, _, offset = db.spec_keys:page_for_consumer({ id = CONSUMER }, 2, offset)
      assert.equal("k3", page[1].key)
      assert.is_nil(offset)
      local seen = {}
      for key, err, number in db.spec_keys:each_for_consumer({ id = OTHER }, 1) do
        assert.is_nil(err)
        seen[number] = key.key
      end
      assert.same({ "k4", "k5" }, seen)
    end)

    it("can be asked for by tags", function()
      assert.equal(2, #db.consumers:page(nil, nil, { tags = { "red" } }))
      assert.equal(1, #db.consumers:page(nil, nil, { tags = { "red", "blue" }, tags_cond = "and" }))
      assert.equal(2, #db.consumers:page(nil, nil, { tags = { "red", "blue" }, tags_cond = "or" }))
      local _, err = db.consumers:page(nil, nil, { tags = { "a", "b" } })
      assert.equal("[off] invalid option (tags_cond: must be a either 'and' or 'or' when more than one tag "
        .. "is specified)", err)
    end)

    it("encode as arrays, empty ones too", function()
      data.spec_keys = {}
      rows.install(data)
      assert.equal("[]", require("cjson").encode((db.spec_keys:page())))
    end)

    it("refuse sizes and offsets", function()
      local _, err, err_t = db.consumers:page(0)
      assert.equal("[off] size must be an integer between 1 and 2048", err)
      assert.equal(9, err_t.code)
      _, err, err_t = db.consumers:page(1, "§")
      assert.equal("[off] '§' is not a valid offset: bad base64 encoding", err)
      assert.equal(7, err_t.code)
      _, err = db.consumers:page(1, ngx.encode_base64("last"))
      assert.equal("[off] 'bGFzdA==' is not a valid offset: bad offset string", err)
      _, err = db.consumers:each(4000)
      assert.equal("[off] size must be an integer between 1 and 2048", err)
      assert.has_error(function() db.consumers:page("1") end, "size must be a number")
      assert.has_error(function() db.consumers:page(1, 1) end, "offset must be a string")
      assert.has_error(function() db.consumers:page(1, nil, "x") end,
        "options must be a table when specified")
    end)

    it("tell an iterator's error once", function()
      local n = 0
      for entity, err, err_t in db.spec_keys:each_for_consumer({ id = "x" }) do
        n = n + 1
        assert.is_false(entity)
        assert.matches("invalid primary key", err)
        assert.equal(1, err_t.code)
      end
      assert.equal(1, n)
    end)

    it("of tags go through all entities", function()
      local seen, offset = {}, nil
      repeat
        local page
        page, _, _, offset = db.tags:page_by_tag("red", 1, offset, {})
        for _, item in ipairs(page) do
          seen[#seen + 1] = item.entity_name .. " " .. item.entity_id .. " " .. item.tag
        end
      until not offset
      assert.same({ "consumers " .. CONSUMER .. " red", "consumers " .. OTHER .. " red" }, seen)
    end)
  end)

  describe("cache keys", function()
    it("are made of a value, of several, of an entity", function()
      local ws = require("kong.workspaces").get_workspace_id() or ""
      assert.equal("consumers:" .. CONSUMER .. ":::::" .. ws, db.consumers:cache_key(CONSUMER))
      assert.equal("spec_keys:k1:::::" .. ws, db.spec_keys:cache_key({ key = "k1", id = id(1) }))
      assert.equal("spec_groups:a:b::::" .. ws, db.spec_groups:cache_key("a", "b"))
      assert.equal("spec_groups:a::c::e:w", db.spec_groups:cache_key("a", nil, "c", ngx.null, "e", "w"))
      assert.equal("spec_groups:" .. CONSUMER .. ":staff::::w",
        db.spec_groups:cache_key({ consumer = { id = CONSUMER }, group = "staff", ws_id = "w" }))
    end)

    it("fall back on the primary key", function()
      assert.equal("spec_groups:" .. id(1) .. ":::::w", db.spec_groups:cache_key({ id = id(1), ws_id = "w" }))
    end)

    it("without a workspace where the DAO says so", function()
      assert.equal("keys:k:s", db.keys:cache_key({ kid = "k", set = { id = "s" } }))
      assert.equal("keys:k:", db.keys:cache_key({ kid = "k" }))
      assert.equal("vaults:my-env:::::", db.vaults:cache_key("my-env"))
    end)

    it("find an entity, whether of one field or of several", function()
      assert.equal(id(3), db.spec_keys:select_by_cache_key("k3").id)
      local found = db.spec_groups:select_by_cache_key({ consumer = { id = CONSUMER }, group = "staff",
        ws_id = WORKSPACE })
      assert.equal("staff", found.group)
      assert.has_error(function() db.consumers:select_by_cache_key("x") end,
        "entity does not have a cache_key defined")
    end)
  end)

  describe("writing", function()
    it("is refused with code 12, after the input was judged", function()
      local none, err, err_t = db.consumers:insert({ username = "new" })
      assert.is_nil(none)
      assert.equal("[off] cannot create 'consumers' entities when not using a database", err)
      assert.equal(12, err_t.code)
      assert.equal("operation unsupported", err_t.name)
      _, err = db.consumers:insert({ nickname = "new" })
      assert.matches("^%[off%] 2 schema violations %(at least one of these fields must be non%-empty", err)
    end)

    it("is refused by key and by unique field", function()
      local cases = {
        ["cannot update 'consumers' entities when not using a database"] = function()
          return db.consumers:update({ id = CONSUMER }, { username = "x" })
        end,
        ["cannot create or update 'consumers' entities when not using a database"] = function()
          return db.consumers:upsert({ id = CONSUMER }, { username = "x" })
        end,
        ["cannot remove 'consumers' entities when not using a database"] = function()
          return db.consumers:delete({ id = CONSUMER })
        end,
        ["cannot update 'consumers' entities by 'username' when not using a database"] = function()
          return db.consumers:update_by_username("ann", { custom_id = "x" })
        end,
        ["cannot create or update 'consumers' entities by 'username' when not using a database"] = function()
          return db.consumers:upsert_by_username("ann", { custom_id = "x" })
        end,
        ["cannot remove 'consumers' entities by 'username' when not using a database"] = function()
          return db.consumers:delete_by_username("ann")
        end,
      }
      for text, write in pairs(cases) do
        local none, err, err_t = write()
        assert.is_nil(none)
        assert.equal("[off] " .. text, err)
        assert.equal(12, err_t.code)
      end
    end)

    it("of what is not there is no error when it is removed, one when it is changed", function()
      assert.is_true(db.consumers:delete({ id = id(9) }))
      local _, err = db.consumers:update({ id = id(9) }, { username = "x" })
      assert.equal("[off] could not find the entity with primary key '{id=\"" .. id(9) .. "\"}'", err)
    end)

    it("of tags is refused in other words", function()
      local _, err = db.tags:insert({ tag = "x" })
      assert.equal("[off] schema violation (tags: does not support insert/upsert/update/delete operations)",
        err)
    end)
  end)

  describe("the database", function()
    it("has core entities that the metaschema accepts", function()
      local MetaSchema = require "kong.db.schema.metaschema"
      for _, name in ipairs(require("kong.constants").CORE_ENTITIES) do
        local ok, problems = MetaSchema:validate(require("kong.db.schema.entities." .. name))
        assert(ok, name .. ": " .. tostring(db.errors:schema_violation(problems or {})))
      end
    end)

    it("is off, and nothing else", function()
      assert.same({ strategy = "off", db_name = "in memory", db_desc = "cache",
        db_ver = require("kong.meta")._VERSION }, db.infos)
      assert.is_true(db:connect())
      assert.is_true(db:truncate())
      local none, err = db.connector:query("select 1")
      assert.is_nil(none)
      assert.equal("cannot perform queries without a database", err)
      none, err = require("kong.db").new({ database = "postgres" })
      assert.is_nil(none)
      assert.equal("database 'postgres' is not supported: configuration is declarative (database = off)", err)
      assert.has_error(function() require("kong.db").new({ database = "mysql" }) end,
        "unknown strategy: mysql")
    end)

    it("counts all migrations of plugins as done", function()
      package.preload["kong.plugins.spec-keys.migrations"] = function() return { "000_base" } end
      local state = assert(db:schema_state())
      assert.is_true(state:is_up_to_date())
      assert.is_true(state:is_migration_executed("spec-keys", "000_base"))
      assert.is_false(state:is_migration_executed("spec-keys", "001_more"))
      assert.equal("spec-keys: 000_base", tostring(state.executed_migrations))
    end)

    it("knows the handlers in order of execution, with what their schemas say", function()
      local handlers = assert(db.plugins:get_handlers())
      assert.equal("spec-keys", handlers[1].name)
      assert.is_true(handlers[1].handler.no_consumer)
      assert.equal("1.2.3", handlers[1].handler.VERSION)
    end)

    it("knows the entities of a plugin whose handler breaks, and says that it does", function()
      package.preload["kong.plugins.spec-broken.handler"] = function() error("no libfoo", 0) end
      package.preload["kong.plugins.spec-broken.schema"] = function()
        return { name = "spec-broken", fields = { { config = { type = "record", fields = {} } } } }
      end
      package.preload["kong.plugins.spec-broken.daos"] = function()
        return { { name = "spec_broken", primary_key = { "id" }, fields = { { id = typedefs.uuid } } } }
      end
      local handlers = db.plugins.handlers
      finally(function()
        db.plugins.handlers = handlers
        db.daos.spec_broken = nil
      end)
      local ok, err = db.plugins:load_plugin_schemas({ ["spec-broken"] = true })
      assert.is_nil(ok)
      assert.matches("on plugin 'spec%-broken': .*no libfoo", err)
      assert.is_table(db.spec_broken)
    end)

    it("says which plugins do not load", function()
      local mine = setmetatable({}, { __index = db.plugins })
      local ok, err = mine:load_plugin_schemas({ ["not-there"] = true })
      assert.is_nil(ok)
      assert.matches("^error loading plugin schemas: on plugin 'not%-there': not%-there plugin is enabled "
        .. "but not installed;\n", err)
    end)
  end)

  describe("B5 the description for the store", function()
    it("lists what an entity refers to before it", function()
      local at = {}
      for i, entity in ipairs(require("moongate.db.entities").describe()) do
        for _, foreign in ipairs(entity.foreign) do
          assert.is_number(at[foreign.reference], entity.name .. " before " .. foreign.reference)
        end
        at[entity.name] = i
      end
      assert.is_number(at.spec_keys)
      assert.is_number(at.routes)
    end)

    it("tells keys, unique fields, sets and how cache keys are composed", function()
      local by_name = {}
      for _, entity in ipairs(require("moongate.db.entities").describe(db)) do
        by_name[entity.name] = entity
      end
      assert.same({
        name = "spec_keys", primary_key = { "id" }, endpoint_key = "key", cache_key = { "key" },
        unique = { "key" }, foreign = { { field = "consumer", reference = "consumers" } },
        workspaceable = true, ttl = true, set_fields = { "tags" },
        fields = { "id", "created_at", "consumer", "key", "note", "tags" },
      }, by_name.spec_keys)
      assert.equal("spec_groups:{consumer}:{group}::::{ws_id}", by_name.spec_groups.cache_key_template)
      assert.equal("keys:{kid}:{set}", by_name.keys.cache_key_template)
      assert.equal("plugins:{name}:{route}:{service}:{consumer}::{ws_id}", by_name.plugins.cache_key_template)
    end)
  end)
end)
