-- The fields of ngx.ctx that Kong's phases leave there, made when they are read: a metatable that all of these
-- tables share. What a plugin writes stands.

local ops = require "moongate.ops"
local slots = require "moongate.slots"

local running = require "moongate.running"

local op = ops["moongate.timings"]
local get = op.get
local rawget, rawset, pairs, next = rawget, rawset, pairs, next

local numbers = {}
for at, name in ipairs(op.fields()) do
  numbers[name] = at
end

-- What Lua makes itself.
local makers = {}

-- Comes and goes, so pairs() leaves nothing of it.
local passing = { delay_response = true }

-- the id that the default workspace has in every declarative configuration
local DEFAULT_WORKSPACE = "0dc6f45b-8f8d-40d2-a504-473544ee190b"

function makers.workspace()
  local kong = rawget(_G, "kong")
  return kong and kong.default_workspace or DEFAULT_WORKSPACE
end

local function value(ctx, name)
  local at = numbers[name]
  if not at then
    return nil
  end
  -- the table of another request, in a timer say, has only what was written into it
  local tables = slots[running[1]]
  if not tables or tables.ctx ~= ctx then
    return nil
  end
  local make = makers[name]
  if make then
    return make(ctx, tables)
  end
  return (get(at))
end

local mt = { __index = value }

function mt.__pairs(ctx)
  for name in pairs(numbers) do
    if not passing[name] and rawget(ctx, name) == nil then
      rawset(ctx, name, (value(ctx, name)))
    end
  end
  return next, ctx, nil
end

return { mt = mt, makers = makers, entered = op.entered }
