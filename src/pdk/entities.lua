-- Routes, services and consumers of the request's snapshot as tables that keep their identity.

local ops = require "moongate.ops"
local op, matched = ops["moongate.entities"], ops["kong.router"].matched
local request = ops["kong.request"]
local scope = require "moongate.scope"
local balancer = require "moongate.balancer"
local timings = require "moongate.timings"
local slots = require "moongate.slots"
local decode = require("cjson.safe").new().decode

local running = require "moongate.running"
local rawget, getmetatable, setmetatable = rawget, getmetatable, setmetatable

local caches = {}

-- The tables of snapshot `generation`; those of snapshots that are gone are let go.
local function cache_of(generation)
  local cache = caches[generation]
  if not cache then
    for known in pairs(caches) do
      if not op.is_alive(known) then
        caches[known] = nil
      end
    end
    cache = { routes = {}, services = {}, consumers = {} }
    caches[generation] = cache
  end
  return cache
end

local function entity(kind, generation, at)
  local known = cache_of(generation)[kind]
  local found = known[at]
  if found == nil then
    local text = op.text(kind, at)
    found = text and decode(text) or op.row(kind, at)
    known[at] = found
  end
  return found
end

local entities = {}

-- The matched route, or what ngx.ctx.route was made: nil too.
function entities.route()
  local tables = slots[running[1]]
  local ctx = tables and tables.ctx
  if ctx then
    local own = rawget(ctx, "route")
    if own ~= nil or tables.routed then
      return own
    end
  end
  local generation, at = matched()
  return generation and entity("routes", generation, at)
end

-- The matched route's service, or what ngx.ctx.service was made.
function entities.service()
  local tables = slots[running[1]]
  local ctx = tables and tables.ctx
  if ctx then
    local own = rawget(ctx, "service")
    if own ~= nil or tables.routed then
      return own
    end
  end
  local generation, _, at = matched()
  return at and entity("services", generation, at)
end

-- The consumer at a place of the request's snapshot.
function entities.consumer(at)
  local generation = op.generation()
  return generation and entity("consumers", generation, at)
end

local function captures()
  local unnamed, named = request.get_uri_captures()
  if unnamed and unnamed[0] == nil and next(unnamed) == nil then
    return nil
  end
  for name, value in pairs(named) do
    unnamed[name] = value
  end
  return unnamed
end

function timings.makers.router_matches(ctx, tables)
  if tables.routed then
    local matches = { uri_captures = captures() }
    ctx.router_matches = matches
    return matches
  end
end

function timings.makers.balancer_data(ctx, tables)
  if tables.routed then
    return balancer.make(ctx)
  end
end

local entered, mt = timings.entered, timings.mt

-- Brings ngx.ctx up to date, once in each phase and after tries: the phase, and once there is a match what the
-- router found. Fields a plugin has set stay as they are.
local function fill(ctx, tables)
  local phase = entered()
  running[4] = false
  if phase then
    ctx.KONG_PHASE = phase
  end
  if getmetatable(ctx) == nil then
    setmetatable(ctx, mt)
  end
  if tables.routed then
    balancer.fill(ctx)
    return
  end
  local generation, route, service = matched()
  if generation then
    if ctx.route == nil then
      ctx.route = entity("routes", generation, route)
    end
    if ctx.service == nil and service then
      ctx.service = entity("services", generation, service)
    end
    tables.routed = true
  end
end

scope.fill = fill

local shared = package.loaded["moongate.ctx"] or {}
package.loaded["moongate.ctx"] = shared
shared.fill = fill

return entities
