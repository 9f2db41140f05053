-- The tables of the running scope, made when first asked for. ngx.ctx is `ctx`.

local running = require "moongate.running"
local slots = require "moongate.slots"

local scope = {}

-- The scope's tables; nil outside any scope.
function scope.tables()
  local n = running[1]
  if n == 0 then
    return nil
  end
  local tables = slots[n]
  if not tables then
    tables = {}
    slots[n] = tables
  end
  return tables
end

-- ngx.ctx; nil outside any scope.
function scope.ctx()
  local tables = scope.tables()
  if not tables then
    return nil
  end
  local ctx = tables.ctx
  if not ctx then
    ctx = {}
    tables.ctx = ctx
  end
  return ctx
end

-- A field of ngx.ctx, without making the table.
function scope.field(name)
  local tables = slots[running[1]]
  local ctx = tables and tables.ctx
  return ctx and ctx[name]
end

return scope
