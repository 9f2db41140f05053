-- kong.ctx: tables of the running request.

local scope = require "moongate.scope"
local running = require "moongate.running"

local function child(tables, name)
  local table = tables[name]
  if not table then
    table = {}
    tables[name] = table
  end
  return table
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
