-- The configuration, `kong` and the store that specs run with. The store is the one without a database: what
-- blueprints insert is noted in a declarative table.

local constants = require "moongate.spec.constants"

local M = { exported = {}, lazy = {} }
local exported, lazy = M.exported, M.lazy

-- === settings and `kong` ===

local conf

local function settings()
  if not conf then
    -- outside a checkout of Kong there is no file, nor the bundled plugins
    local file = constants.exported.test_conf_path
    if require("pl.path").exists(file) then
      conf = assert(require("kong.conf_loader")(file))
    else
      conf = assert(require("kong.conf_loader")(nil, { plugins = "off" }))
    end
    conf.database = os.getenv("KONG_DATABASE") or "off"
  end
  return conf
end

lazy.test_conf = settings

local PATHS = { os.getenv("KONG_LUA_PACKAGE_PATH"), constants.plugin_path, constants.vault_path }
for i = 3, 1, -1 do
  if PATHS[i] and not package.path:find(PATHS[i], 1, true) then
    package.path = PATHS[i] .. ";" .. package.path
  end
end

local function without_cache()
  return {
    get = function(_, key, _, fn, ...)
      if key == require("kong.constants").CLUSTER_ID_PARAM_KEY then
        return "123e4567-e89b-12d3-a456-426655440000"
      end
      return fn(...)
    end,
  }
end

-- === the store ===

local db

-- Plugins that need what is not there, by name with the reason. Their schemas are of use all the same:
-- something stands in for the module while the schemas are loaded.
local incomplete = {}
local STAND_INS = { handler = { PRIORITY = 0, VERSION = "0.0.0" }, daos = {} }

local function load_plugins(store, loaded)
  local names, stood_in = {}, {}
  for name, wanted in pairs(loaded) do
    names[name] = wanted or nil
    for part, stand_in in pairs(wanted and STAND_INS or {}) do
      local module = "kong.plugins." .. name .. "." .. part
      local ok, err = pcall(require, module)
      if not ok and package.searchpath(module, package.path) then
        incomplete[name] = err
        package.loaded[module] = require("table.clone")(stand_in)
        stood_in[module] = true
      end
    end
  end
  local ok, err = store.plugins:load_plugin_schemas(names)
  for module in pairs(stood_in) do
    package.loaded[module] = nil
  end
  return ok, err
end

local function open()
  if not db then
    local new = assert(require("kong.db").new(settings(), "off"))
    assert(new:init_connector())
    assert(load_plugins(new, settings().loaded_plugins))
    if new.vaults then
      assert(new.vaults:load_vault_schemas(settings().loaded_vaults))
    end
    db = new
  end
  return db
end

lazy.db = open

function lazy.blueprints()
  return require("spec.fixtures.dc_blueprints").new(open())
end

-- `kong` as a worker has it.
local function install()
  local global = require "kong.global"
  local new = global.new()
  _G.kong = new
  global.init_pdk(new, settings())
  ngx.ctx.KONG_PHASE = global.phases.access
  new.core_cache = without_cache()
  new.db = open()
  return new
end

-- Kong's specs count timers there, those that `ngx.timer.at` starts among them.
local function count_timers(timers)
  _G.timerng = timers
  local at = ngx.timer.at
  ngx.timer.at = function(...)
    local delay, callback = ...
    local lua = type(callback) == "function" and debug.getinfo(callback, "S").what ~= "C"
    if type(delay) == "number" and delay >= 0 and lua then
      local ok, err = timers:at(...)
      return ok and 1, err
    end
    return at(...)
  end
end

count_timers(install().timer)

local blueprints, plugin_list

local function switch(loaded, names, on)
  for _, name in ipairs(names or {}) do
    loaded[name] = on
  end
end

local function check(position, value, what)
  if value ~= nil and type(value) ~= "table" then
    error(("arg #%d must be a list of %s"):format(position, what), 3)
  end
end

--- Blueprints and the store. `tables` are those to empty; `plugins` and `vaults` count as loaded meanwhile.
function exported.get_db_utils(strategy, tables, plugins, vaults, _, expand_foreigns)
  check(2, tables, "tables to truncate")
  check(3, plugins, "plugins to enable")
  check(4, vaults, "vaults to enable")
  local config = settings()
  config.database = strategy or config.database
  switch(config.loaded_plugins, plugins, true)
  switch(config.loaded_vaults, vaults, true)
  ngx.ctx.workspace = nil
  db = nil
  _G.kong.db = open()
  blueprints = assert(require("spec.fixtures.dc_blueprints").new(db, expand_foreigns))
  switch(config.loaded_plugins, plugins, false)
  switch(config.loaded_vaults, vaults, false)
  plugin_list = nil
  return blueprints, db
end

--- Name and version of every plugin, sorted by name.
function exported.get_plugins_list()
  if not plugin_list then
    local list = {}
    for _, plugin in ipairs(assert(open().plugins:get_handlers())) do
      if not incomplete[plugin.name] then
        list[#list + 1] = { name = plugin.name, version = plugin.handler.VERSION }
      end
    end
    table.sort(list, function(a, b) return a.name:lower() < b.name:lower() end)
    plugin_list = list
  end
  return require("table.clone")(plugin_list)
end

function exported.get_cache()
  local global = require "kong.global"
  local events = assert(global.init_worker_events(settings()))
  local cluster = assert(global.init_cluster_events(settings(), open()))
  return assert(global.init_cache(settings(), cluster, events))
end

-- === strategies ===

local function strategies(wanted)
  local here = os.getenv("KONG_DATABASE") or "off"
  if not wanted then
    return ipairs({ here })
  end
  for i = #wanted, 1, -1 do
    if wanted[i] ~= here then
      table.remove(wanted, i)
    end
  end
  return ipairs(wanted)
end

--- Iterates over the strategies that can be tested: there is one, "off".
exported.each_strategy = strategies
exported.all_strategies = strategies

-- === plugins ===

local plugins_schema

local function schema_of_plugins()
  if not plugins_schema then
    local Schema, Entity = require "kong.db.schema", require "kong.db.schema.entity"
    -- known by name to the foreign fields of plugins
    for _, name in ipairs { "certificates", "consumers", "services", "routes" } do
      assert(Schema.new(require("kong.db.schema.entities." .. name)))
    end
    plugins_schema = assert(Entity.new(require("kong.db.schema.entities.plugins")))
  end
  return plugins_schema
end

--- A plugin entity with that configuration (and `extra` fields), completed; nil and an error tree.
function exported.validate_plugin_config_schema(config, definition, extra)
  local schema = schema_of_plugins()
  assert(schema:new_subschema(definition.name, definition))
  local entity = { id = require("kong.tools.uuid").uuid(), name = definition.name, config = config }
  for k, v in pairs(extra or {}) do
    entity[k] = v
  end
  local complete, err = schema:process_auto_fields(entity, "insert")
  if err then
    return nil, err
  end
  local ok
  ok, err = schema:validate_insert(complete)
  if not ok then
    return nil, err
  end
  return complete
end

return M
