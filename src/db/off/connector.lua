-- `kong.db.strategies.off.connector`: there is nothing to connect to.

local meta = require "kong.meta"

local M = {}
M.__index = M

local function done()
  return true
end

function M.new()
  return setmetatable({
    database = "off",
    timeout = 1,
    close = done,
    connect = done,
    truncate_table = done,
    truncate = done,
    insert_lock = done,
    remove_lock = done,
    schema_reset = done,
  }, M)
end

function M:infos()
  return { strategy = "off", db_name = "in memory", db_desc = "cache", db_ver = meta._VERSION }
end

function M:connect_migrations()
  return {}
end

function M:query()
  return nil, "cannot perform queries without a database"
end

--- Without a database every migration counts as done.
function M:schema_migrations(subsystems)
  local rows = {}
  for i, subsystem in ipairs(subsystems) do
    local executed = {}
    for j, migration in ipairs(subsystem.migrations) do
      executed[j] = migration.name
    end
    rows[i] = {
      subsystem = subsystem.name,
      executed = executed,
      last_executed = executed[#executed],
      pending = {},
    }
  end
  return rows
end

return M
