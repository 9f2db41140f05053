-- kong.ctx: tables of the running request.

local scope = require "moongate.scope"
local running = require "moongate.running"
local named = require "moongate.named"

local rawget, type = rawget, type

local function child(tables, name)
  local table = tables[name]
  if not table then
    table = {}
    tables[name] = table
  end
  return table
end

-- The table that kong.global.set_named_ctx gave a name in this request.
local function by_name(tables, name)
  local ctx = tables.ctx
  local namespaces = ctx and rawget(ctx, "KONG_NAMESPACES")
  local key = type(namespaces) == "table" and namespaces[name]
  return key and child(ctx, key)
end

local ctx_mt = {
  __index = function(_, name)
    local tables = scope.tables()
    if not tables then
      return nil
    end
    if name == "shared" or name == "core" then
      return child(tables, name)
    end
    local given = named.used and by_name(tables, name)
    if given then
      return given
    end
    if name ~= "plugin" then
      return nil
    end
    local plugin = running[3]
    return plugin and child(child(tables, "plugin"), plugin) or nil
  end,
}

return {
  new = function()
    return setmetatable({}, ctx_mt)
  end,
}
