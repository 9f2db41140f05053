-- `kong.db`: the DAOs of all entities, `db.<entity>`, over one strategy.

local DAO = require "kong.db.dao"
local Entity = require "kong.db.schema.entity"
local Errors = require "kong.db.errors"
local Strategies = require "kong.db.strategies"
local constants = require "kong.constants"
local mutex = require "moongate.db.mutex"
local load_if_exists = require("kong.tools.module").load_module_if_exists

local fmt = string.format
local type, pairs, ipairs, error, rawget = type, pairs, ipairs, error, rawget

local DB = {}

DB.__index = function(self, key)
  return DB[key] or rawget(self, "daos")[key]
end

-- The schema of one core entity, with its subschemas; nil and an error when it is invalid. That the definition
-- is one the metaschema accepts is for a spec to say, not for each worker at its start.
local function load_schema(name)
  local definition = require("kong.db.schema.entities." .. name)
  local schema, err = Entity.new(definition)
  if not schema then
    return nil, fmt("schema of entity '%s' is invalid: %s", name, err)
  end
  local exists, subschemas = load_if_exists("kong.db.schema.entities." .. name .. "_subschemas")
  for key, subschema in pairs(exists and subschemas or {}) do
    local ok
    ok, err = schema:new_subschema(key, subschema)
    if not ok then
      return nil, fmt("error initializing schema for %s: %s", name, err)
    end
  end
  return schema
end

--- The DAOs for a configuration (settings); `strategy` overrides its `database`. nil and an error otherwise.
function DB.new(kong_config, strategy)
  if not kong_config then
    error("missing kong_config", 2)
  elseif strategy ~= nil and type(strategy) ~= "string" then
    error("strategy must be a string", 2)
  end
  strategy = strategy or kong_config.database

  local errors = Errors.new(strategy)
  local schemas = {}
  for _, name in ipairs(constants.CORE_ENTITIES) do
    local schema, err = load_schema(name)
    if not schema then
      return nil, err
    end
    schemas[name] = schema
  end

  local connector, strategies, err = Strategies.new(kong_config, strategy, schemas, errors)
  if err then
    return nil, err
  end

  local daos = {}
  local self = {
    daos = daos,
    strategies = strategies,
    connector = connector,
    strategy = strategy,
    errors = errors,
    infos = connector:infos(),
    loaded_plugins = kong_config.loaded_plugins,
  }
  for _, schema in pairs(schemas) do
    local name = schema.name
    if not strategies[name] then
      return nil, fmt("no strategy found for schema '%s'", name)
    end
    daos[name] = DAO.new(self, schema, strategies[name], errors)
  end
  return setmetatable(self, DB)
end

local function prefixed(self, err)
  return fmt("[%s error] %s", self.infos.strategy, err)
end

-- What the connector does, with its name in front of errors.
local function delegate(method)
  return function(self)
    local ok, err = self.connector[method](self.connector)
    if not ok then
      return nil, prefixed(self, err)
    end
    return ok
  end
end

DB.connect = delegate "connect"
DB.setkeepalive = delegate "setkeepalive"
DB.close = delegate "close"
DB.reset = delegate "reset"

--- Makes the connector ready and checks what it connects to.
function DB:init_connector()
  local ok, err = self.connector:init()
  if not ok then
    return nil, prefixed(self, err)
  end
  self.infos = self.connector:infos()
  local versions = constants.DATABASE[self.strategy:upper()]
  if versions then
    ok, err = self:check_version_compat(versions.MIN, versions.DEPRECATED)
    if not ok then
      return nil, prefixed(self, err)
    end
  end
  return ok
end

--- What a worker has to start for the strategies.
function DB:init_worker()
  local ok, err = self.connector:init_worker(self.strategies)
  if not ok then
    return nil, prefixed(self, err)
  end
  return ok
end

function DB:truncate(table_name)
  if table_name ~= nil and type(table_name) ~= "string" then
    error("table_name must be a string", 2)
  end
  local ok, err
  if table_name then
    ok, err = self.connector:truncate_table(table_name)
  else
    ok, err = self.connector:truncate()
  end
  if not table_name or table_name == "workspaces" then
    require("kong.workspaces").upsert_default()
  end
  if not ok then
    return nil, prefixed(self, err)
  end
  return ok
end

--- Where DAOs post what was written.
function DB:set_events_handler(events)
  for _, dao in pairs(self.daos) do
    dao.events = events
  end
end

-- Whether version `a` is before `b`, part by part.
local function before(a, b)
  local x, y = a:gmatch("%d+"), b:gmatch("%d+")
  while true do
    local m, n = tonumber((x())), tonumber((y()))
    if not m and not n then
      return false
    end
    m, n = m or 0, n or 0
    if m ~= n then
      return m < n
    end
  end
end

--- Whether the connector's version is at least `min`; from `deprecated` on it will do, with a warning.
function DB:check_version_compat(min, deprecated)
  local version = self.connector.major_minor_version
  if not version then
    return false, "no version info on connector"
  elseif not before(version, min) then
    return true
  elseif deprecated and not before(version, deprecated) then
    require("kong.cmd.utils.log").warn("Currently using %s %s which is considered deprecated, "
      .. "please use %s or greater", self.strategy, version, min)
    return true
  end
  return false, fmt("Kong requires %s %s or greater (currently using %s)", self.strategy, min, version)
end

--- Runs `cb` while no other worker, of any node, runs under `key`: true; false when another did; nil, error.
-- `opts`: ttl, owner, no_wait, no_cleanup.
function DB:cluster_mutex(key, opts, cb)
  mutex.check(key, opts, cb)
  local ok, err = mutex.run(self.connector, key, opts or {}, cb)
  if err then
    return nil, prefixed(self, err)
  end
  return ok
end

local last_state

--- Which migrations have run.
function DB:schema_state()
  local err
  last_state, err = require("kong.db.migrations.state").load(self)
  return last_state, err
end

function DB:last_schema_state()
  return last_state or self:schema_state()
end

--- Forgets the schema; without a database there is none.
function DB:schema_reset()
  local ok, err = self.connector:connect_migrations({ no_keyspace = true })
  if ok then
    ok, err = self.connector:schema_reset()
    self.connector:close()
  end
  if not ok then
    return nil, prefixed(self, err)
  end
  return true
end

function DB.schema_bootstrap()
  error("not supported: db:schema_bootstrap", 2)
end

function DB.run_migrations()
  error("not supported: db:run_migrations", 2)
end

return DB
