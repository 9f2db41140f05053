-- The tables of the running scope, made when first asked for. ngx.ctx is `ctx`.

local running, rawget = require "moongate.running", rawget
local slots = require "moongate.slots"

local ops = require "moongate.ops"
local new_tab = require "table.new"

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

-- The table that a test has put in the place of the gateway's own ngx, if it has.
function scope.foreign()
  local found, core = rawget(_G, "ngx"), ops.ngx_core
  if found and core and rawget(found, "null") ~= core.null() then
    return found
  end
end

-- The table of ngx.ctx, made with room for so many fields where nobody has yet, and the scope's tables; nil outside
-- any scope.
local function made(room)
  local tables = scope.tables()
  if not tables then
    return nil
  end
  local ctx = tables.ctx
  if not ctx then
    ctx = new_tab(0, room)
    tables.ctx = ctx
  end
  return ctx, tables
end

-- ngx.ctx, brought up to date; nil outside any scope.
function scope.ctx()
  local ctx, tables = made(8)
  if ctx and running[4] and scope.fill then
    scope.fill(ctx, tables)
  end
  return ctx
end

-- The same as it lies there, to note something in it: what the router found is put into it when somebody looks.
function scope.noted()
  return (made(4))
end

-- ngx.ctx as it lies there, if somebody made it.
function scope.written()
  local tables = slots[running[1]]
  return tables and tables.ctx
end

-- What somebody wrote into a field of ngx.ctx, without making the table.
function scope.field(name)
  local tables = slots[running[1]]
  local ctx = tables and tables.ctx
  return ctx and rawget(ctx, name)
end

return scope
