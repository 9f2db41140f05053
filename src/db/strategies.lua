-- `kong.db.strategies`: the strategy of each entity and the connector they share. The only strategy is "off":
-- rows come from the declarative configuration.

local load_if_exists = require("kong.tools.module").load_module_if_exists

local fmt = string.format

local M = {
  STRATEGIES = { off = true },
}

--- Lets the functions of `module` take precedence over a strategy's own, which stay reachable as `super`.
function M.override(strategy, module)
  local parent = getmetatable(strategy)
  return setmetatable(strategy, {
    __index = function(_, key)
      if key == "super" then
        return parent
      end
      local own = module[key]
      if own then
        return own
      end
      return parent[key]
    end,
  })
end

--- The connector and the strategies by entity, or nil, nil and an error.
function M.new(kong_config, database, schemas, errors)
  database = database or kong_config.database
  if database == "postgres" or database == "cassandra" then
    return nil, nil, fmt("database '%s' is not supported: configuration is declarative (database = off)",
      database)
  elseif not M.STRATEGIES[database] then
    error("unknown strategy: " .. tostring(database), 2)
  end

  local Connector = require(fmt("kong.db.strategies.%s.connector", database))
  local Strategy = require(fmt("kong.db.strategies.%s", database))

  local connector, err = Connector.new(kong_config)
  if not connector then
    return nil, nil, err
  end
  local base = require "kong.db.strategies.connector"
  base.defaults.pagination.max_page_size = 2048
  setmetatable(getmetatable(connector), {
    __index = function(_, key)
      if key == "super" then
        return base
      end
      return base[key]
    end,
  })

  local strategies = {}
  for _, schema in pairs(schemas) do
    local strategy
    strategy, err = Strategy.new(connector, schema, errors)
    if not strategy then
      return nil, nil, err
    end
    local exists, module = load_if_exists(fmt("kong.db.strategies.%s.%s", database, schema.name))
    if exists and module then
      M.override(strategy, module)
    end
    strategies[schema.name] = strategy
  end
  return connector, strategies
end

return M
