-- `kong.db.migrations.state`: which migrations plugins bring and which have run. Without a database none has
-- to: the connector counts all as executed.

local load_if_exists = require("kong.tools.module").load_module_if_exists

local M = {}
M.__index = M

local list_mt = {
  __tostring = function(list)
    local width = 0
    for _, subsystem in ipairs(list) do
      width = math.max(width, #subsystem.subsystem)
    end
    local lines = {}
    for i, subsystem in ipairs(list) do
      local names = {}
      for j, migration in ipairs(subsystem.migrations) do
        names[j] = migration.name
      end
      lines[i] = ("%" .. width .. "s: %s"):format(subsystem.subsystem, table.concat(names, ", "))
    end
    return table.concat(lines, "\n")
  end,
}

-- A list of { name, namespace, migrations = { { name }... } }, by the plugins' names.
local function subsystems_of(plugins)
  if type(plugins) ~= "table" then
    error("plugin_names must be a table", 2)
  end
  local names = {}
  for name in pairs(plugins) do
    names[#names + 1] = name
  end
  table.sort(names)

  local subsystems = {}
  for _, name in ipairs(names) do
    local namespace = "kong.plugins." .. name .. ".migrations"
    local ok, index = load_if_exists(namespace)
    if not ok then
      ok, index = load_if_exists(namespace .. ".init")
    end
    if ok and type(index) ~= "table" then
      return nil, ("migrations index from '%s' must be a table"):format(namespace)
    elseif ok then
      local migrations = {}
      for i, migration in ipairs(index) do
        migrations[i] = { name = migration }
      end
      subsystems[#subsystems + 1] = { name = name, namespace = namespace, migrations = migrations }
    end
  end
  return subsystems
end

local function has(list, name)
  for _, known in ipairs(type(list) == "table" and list or {}) do
    if known == name then
      return true
    end
  end
  return false
end

-- Sorts a subsystem's migrations by what the connector's row says of them.
local function sort_out(subsystem, row)
  local sorted = {
    executed_migrations = {},
    pending_migrations = {},
    missing_migrations = {},
    new_migrations = {},
  }
  local past_last = not row or not row.last_executed
  for _, migration in ipairs(subsystem.migrations) do
    local kind
    if row and has(row.executed, migration.name) then
      kind = "executed_migrations"
    elseif row and has(row.pending, migration.name) then
      kind = "pending_migrations"
    else
      kind = past_last and "new_migrations" or "missing_migrations"
    end
    table.insert(sorted[kind], migration)
    past_last = past_last or migration.name == row.last_executed
  end
  return sorted
end

local function connector_failed(db, err)
  return nil, ("[%s error] %s"):format(db.infos.strategy, err)
end

--- The state of `db`: { needs_bootstrap, executed_migrations, pending_migrations, missing_migrations,
-- new_migrations }, lists of { subsystem, namespace, migrations }, absent when empty.
function M.load(db)
  local subsystems, err = subsystems_of(db.loaded_plugins)
  if not subsystems then
    return connector_failed(db, err)
  end
  local ok
  ok, err = db.connector:connect_migrations({ no_keyspace = true })
  if not ok then
    return connector_failed(db, err)
  end
  local rows
  rows, err = db.connector:schema_migrations(subsystems)
  db.connector:close()
  if err then
    return connector_failed(db, "failed to check schema state: " .. err)
  end

  local by_name = {}
  for _, row in ipairs(rows or {}) do
    by_name[row.subsystem] = row
  end
  local state = { needs_bootstrap = not rows }
  for _, subsystem in ipairs(subsystems) do
    for kind, migrations in pairs(sort_out(subsystem, by_name[subsystem.name])) do
      if migrations[1] then
        state[kind] = state[kind] or setmetatable({}, list_mt)
        table.insert(state[kind], {
          subsystem = subsystem.name,
          namespace = subsystem.namespace,
          migrations = migrations,
        })
      end
    end
  end
  return setmetatable(state, M)
end

function M:is_up_to_date()
  return not self.needs_bootstrap and not self.new_migrations
end

function M:is_migration_executed(subsystem_name, migration_name)
  for _, subsystem in ipairs(self.executed_migrations or {}) do
    if subsystem.subsystem == subsystem_name then
      for _, migration in ipairs(subsystem.migrations) do
        if migration.name == migration_name then
          return true
        end
      end
    end
  end
  return false
end

return M
