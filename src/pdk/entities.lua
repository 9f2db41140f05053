-- Routes, services and consumers of the request's snapshot as tables that keep their identity.

local ops = require "moongate.ops"
local op, matched = ops["moongate.entities"], ops["kong.router"].matched
local scope = require "moongate.scope"

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

return entities
