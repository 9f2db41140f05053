-- `kong.db.strategies.connector`: what connectors of all strategies share; what one lacks raises.

local type = type

local M = {
  defaults = {
    pagination = {
      page_size = 1000,
      max_page_size = 50000,
    },
  },
}

function M:init()
  return true
end

function M:init_worker()
  return true
end

function M:get_page_size(options)
  local pagination = type(options) == "table" and options.pagination
  if type(pagination) == "table" then
    return pagination.page_size
  end
  return self.defaults.pagination.page_size
end

-- Before requests are served there is one connection; afterwards each request has its own.
local in_requests = false

local function request_key(operation)
  in_requests = in_requests or ngx.get_phase() ~= "init"
  return in_requests and "connection_" .. (operation or "write")
end

function M:store_connection(connection, operation)
  local key = request_key(operation)
  if key then
    ngx.ctx[key] = connection
  else
    self.connection = connection
  end
end

function M:get_stored_connection(operation)
  local key = request_key(operation)
  if key then
    return ngx.ctx[key]
  end
  return self.connection
end

for _, name in ipairs {
  "infos", "connect", "connect_migrations", "setkeepalive", "close", "query", "reset", "truncate",
  "setup_locks", "insert_lock", "read_lock", "remove_lock", "schema_migrations", "schema_bootstrap",
  "schema_reset", "run_up_migration", "record_migration",
} do
  M[name] = function(self)
    error(("%s() not implemented for '%s' strategy"):format(name, self.database))
  end
end

return M
