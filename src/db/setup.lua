-- `moongate.db.setup`: the DAOs of one Lua state, with the entities of its plugins.

local DB = require "kong.db"

local M = {}

--- The DAOs for these plugins (a set of names), whose handlers are left alone. Raises what is wrong with a schema, naming the plugin.
function M.new(plugins)
  local db, err = DB.new(kong.configuration, "off")
  if not db then
    error(err, 0)
  end
  local ok
  ok, err = db.plugins:load_plugin_schemas(plugins, true)
  if not ok then
    error(err, 0)
  end
  return db
end

local newest = {}

--- What there are of entities with these plugins (see `moongate.db.entities`); kept as long as the plugins are
--- the same.
function M.entities(plugins)
  local names = {}
  for name in pairs(plugins) do
    names[#names + 1] = name
  end
  table.sort(names)
  local key = table.concat(names, ",")
  if newest.key ~= key then
    newest = { key = key, entities = require("moongate.db.entities").describe(M.new(plugins)) }
  end
  return newest.entities
end

--- Makes `kong.db` of these plugins when it is first asked for: a state without plugins never pays for it.
function M.lazily(plugins)
  local mt = getmetatable(kong)
  local before = mt.__index
  mt.__index = function(t, key)
    if key == "db" then
      local db = M.new(plugins)
      rawset(t, "db", db)
      return db
    end
    return before(t, key)
  end
end

return M
