-- Routes, services and consumers of the request's snapshot as tables that keep their identity.

local ops = require "moongate.ops"
local op, matched = ops["moongate.entities"], ops["kong.router"].matched
local request = ops["kong.request"]
local scope = require "moongate.scope"
local balancer = require "moongate.balancer"

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
    cache = { route = {}, service = {}, consumer = {} }
    caches[generation] = cache
  end
  return cache
end

local function entity(kind, generation, at)
  local known = cache_of(generation)[kind]
  local found = known[at]
  if found == nil then
    found = op[kind](at)
    known[at] = found
  end
  return found
end

local entities = {}

-- The matched route; ngx.ctx.route replaces it.
function entities.route()
  local override = scope.field("route")
  if override ~= nil then
    return override
  end
  local generation, at = matched()
  return generation and entity("route", generation, at)
end

-- The matched route's service; ngx.ctx.service replaces it.
function entities.service()
  local override = scope.field("service")
  if override ~= nil then
    return override
  end
  local generation, _, at = matched()
  return at and entity("service", generation, at)
end

-- The consumer at a place of the request's snapshot.
function entities.consumer(at)
  local generation = op.generation()
  return generation and entity("consumer", generation, at)
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

-- What the router found, as the fields of ngx.ctx that plugins read; false before there is a match. Fields a
-- plugin has set stay as they are.
local function fill(ctx)
  local generation, route, service = matched()
  if not generation then
    return false
  end
  if ctx.route == nil then
    ctx.route = entity("route", generation, route)
  end
  if ctx.service == nil and service then
    ctx.service = entity("service", generation, service)
  end
  if ctx.router_matches == nil then
    ctx.router_matches = { uri_captures = captures() }
  end
  balancer.fill(ctx)
  return true
end

local shared = package.loaded["moongate.ctx"] or {}
package.loaded["moongate.ctx"] = shared
shared.fill = fill

return entities
