-- In which phases a function may be called. A KONG_PHASE in ngx.ctx overrides the gateway's own word.

local bit = require "bit"
local running = require "moongate.running"
local slots = require "moongate.slots"
local scope = require "moongate.scope"

local band, bor, lshift = bit.band, bit.bor, bit.lshift
local error, rawget, concat = error, rawget, table.concat

local BITS = {
  init_worker = 0x1,
  certificate = 0x2,
  client_hello = 0x8,
  rewrite = 0x10,
  access = 0x20,
  balancer = 0x40,
  response = 0x80,
  cluster_listener = 0x100,
  header_filter = 0x200,
  body_filter = 0x400,
  log = 0x2000,
  preread = 0x4000,
  error = 0x01000000,
  admin_api = 0x10000000,
}
local HIGHEST = 30
-- The gateway's bit of timers, which Kong has no phase for.
local TIMER = 0x100

local names = {}
for name, value in pairs(BITS) do
  names[value] = name
end

local function new(...)
  return bor(...)
end

local function list(mask)
  local found = {}
  for i = 0, HIGHEST - 1 do
    local value = lshift(1, i)
    if band(mask, value) ~= 0 and names[value] then
      found[#found + 1] = names[value]
    end
  end
  return concat(found, ", ")
end

local function current()
  -- one that was left in another phase says nothing
  if not running[4] then
    local tables = slots[running[1]]
    local ctx = tables and tables.ctx
    local override = ctx and ctx.KONG_PHASE
    if override then
      return override
    end
  end
  local phase = running[2]
  if phase ~= TIMER then
    return phase
  end
end

-- Unit tests of plugins may run with a `kong` of their own, or none.
local function unchecked()
  local kong = rawget(_G, "kong")
  return not kong or not kong.ctx
end

-- Without a check what needs a request still has none in init_worker, and only body_filter has chunks.
local function impossible(accepted, level)
  local phase = running[2]
  if phase == BITS.init_worker or accepted == BITS.body_filter and phase ~= TIMER then
    error("API disabled in the context of " .. names[phase] .. "_by_lua*", level + 1)
  end
end

local function refuse(phase, accepted, only_ctx)
  local other = scope.foreign()
  if other then
    phase = other.ctx and other.ctx.KONG_PHASE
    if phase and band(phase, accepted) ~= 0 then
      return
    end
  end
  if unchecked() then
    return not only_ctx and impossible(accepted, 4)
  end
  if not phase then
    error("no phase in ngx.ctx.KONG_PHASE, (need one of " .. list(accepted) .. ")", 4)
  end
  error("function cannot be called in " .. (names[phase] or "'unknown phase'") .. " phase (only in: "
        .. list(accepted) .. ")", 4)
end

-- `only_ctx`: the function needs ngx.ctx only, which init_worker has, too.
local function check(accepted, only_ctx)
  local phase = current()
  if phase and band(phase, accepted) ~= 0 then
    return
  end
  refuse(phase, accepted, only_ctx)
end

local function check_not(rejected)
  local phase = current()
  if phase and band(phase, rejected) == 0 then
    return
  elseif unchecked() then
    return impossible(rejected, 3)
  end
  if not phase then
    error("no phase in ngx.ctx.KONG_PHASE", 3)
  end
  error("function cannot be called in " .. (names[phase] or "'unknown phase'")
        .. " phase (can be called in any phases except: " .. list(rejected) .. ")", 3)
end

local phases = {
  request = bor(BITS.rewrite, BITS.access, BITS.balancer, BITS.response, BITS.header_filter, BITS.body_filter,
                BITS.log, BITS.error, BITS.admin_api, BITS.cluster_listener),
  n = HIGHEST,
}
for name, value in pairs(BITS) do
  phases[name] = value
  phases[value] = name
end

setmetatable(phases, {
  __index = function(_, name)
    error("unknown phase or phase alias: " .. tostring(name))
  end,
})

return {
  new = new,
  check = check,
  check_not = check_not,
  phases = phases,
}
