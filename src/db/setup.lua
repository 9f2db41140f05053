-- `moongate.db.setup`: the DAOs of one Lua state, with the entities of its plugins.

local DB = require "kong.db"

local M = {}

local function make(plugins, judged)
  local db, err = DB.new(kong.configuration, "off")
  if not db then
    error(err, 0)
  end
  db.judged = judged
  local ok
  ok, err = db.plugins:load_plugin_schemas(plugins, true)
  if not ok then
    error(err, 0)
  end
  return db
end

local newest, newest_plugins, described

local function same(a, b)
  for name in pairs(a) do
    if not b[name] then
      return false
    end
  end
  for name in pairs(b) do
    if not a[name] then
      return false
    end
  end
  return true
end

--- The DAOs for these plugins (a set of names), whose handlers are left alone; made once as long as the
--- plugins are the same. Raises what is wrong with a schema, naming the plugin.
function M.new(plugins)
  if not newest or not same(plugins, newest_plugins) then
    newest, newest_plugins, described = make(plugins), plugins, nil
  end
  return newest
end

--- The schemas of the entities there are with these plugins, by name, if `new` made them.
function M.schemas(plugins)
  if not newest or not same(plugins, newest_plugins) then
    return nil
  end
  local schemas = {}
  for name, dao in pairs(newest.daos) do
    schemas[name] = dao.schema
  end
  return schemas
end

--- What there are of entities with these plugins (see `moongate.db.entities`).
function M.entities(plugins)
  local db = M.new(plugins)
  described = described or require("moongate.db.entities").describe(db)
  return described
end

--- Makes `kong.db` of these plugins when it is first asked for: a state without plugins never pays for it.
--- What defines a schema was judged where the configuration was.
function M.lazily(plugins)
  local mt = getmetatable(kong)
  local before = mt.__index
  mt.__index = function(t, key)
    if key == "db" then
      local db = make(plugins, true)
      rawset(t, "db", db)
      return db
    end
    return before(t, key)
  end
end

return M
