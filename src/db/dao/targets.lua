-- `kong.db.dao.targets`: targets of an upstream, as they are stored ("raw") and as they count: the newest per
-- address.

local cjson = require "cjson"
local workspaces = require "kong.workspaces"
local tools_ip = require "kong.tools.ip"
local table_merge = require("kong.tools.table").table_merge

local ipairs, tostring, type = ipairs, tostring, type

local DEFAULT_PORT = 8000

local M = {}

local function by_age(a, b)
  if a.created_at ~= b.created_at then
    return a.created_at < b.created_at
  end
  return a.id < b.id
end

-- Gives the target of `entity` its port: true, or nil, error, error table.
local function complete(self, entity)
  if not entity.target then
    return true
  end
  local parsed = tools_ip.normalize_ip(entity.target)
  local text, err
  if parsed then
    text, err = tools_ip.format_host(parsed, DEFAULT_PORT)
  else
    err = "Invalid target; not a valid hostname or ip address"
  end
  if not text then
    local err_t = self.errors:schema_violation({ target = err })
    return nil, tostring(err_t), err_t
  end
  entity.target = text
  return true
end

function M:insert(entity, options)
  local ok, err, err_t = complete(self, entity)
  if not ok then
    return nil, err, err_t
  end
  return self.super.insert(self, entity, options)
end

--- Writes a target, in place of the one its upstream has for the same address, unless that is newer.
function M:upsert(pk, entity, options)
  entity.id = pk.id
  local ok, err, err_t = complete(self, entity)
  if not ok then
    return nil, err, err_t
  end
  local everything = { nulls = true, workspace = workspaces.get_workspace_id() }
  for existing, e, e_t in self:each_for_upstream(entity.upstream, nil, everything) do
    if not existing then
      return nil, e, e_t
    elseif existing.target == entity.target then
      if entity.created_at <= existing.created_at then
        return true
      end
      ok, err, err_t = self.super.delete(self, existing, everything)
      if not ok then
        return ok, err, err_t
      end
      break
    end
  end
  return self.super.insert(self, entity, options)
end

function M:upsert_by_target(target, entity, options)
  entity.target = target
  return self:insert(entity, options)
end

function M:select(pk, options)
  local target, err, err_t = self.super.select(self, pk, options)
  if err or not target then
    return nil, err, err_t
  end
  local ok
  ok, err, err_t = complete(self, target)
  if not ok then
    return nil, err, err_t
  end
  return target
end

function M:delete_by_target(address, options)
  local target, err, err_t = self:select_by_target(address)
  if err then
    return nil, err, err_t
  end
  return self.super.delete(self, target, options)
end

--- A page of the targets as stored.
function M:page_for_upstream_raw(upstream_pk, ...)
  local page, err, err_t, offset = self.super.page_for_upstream(self, upstream_pk, ...)
  if err then
    return nil, tostring(err), err_t
  end
  for _, target in ipairs(page) do
    local ok
    ok, err, err_t = complete(self, target)
    if not ok then
      return nil, err, err_t
    end
  end
  return page, nil, nil, offset
end

--- All targets as stored, by age.
function M:select_by_upstream_raw(upstream_pk, options)
  local targets = {}
  -- each_for_upstream is the general one, and so gives what is stored
  for target, err, err_t in self:each_for_upstream(upstream_pk, nil, options) do
    if not target then
      return nil, err, err_t
    end
    local ok
    ok, err, err_t = complete(self, target)
    if not ok then
      return nil, err, err_t
    end
    targets[#targets + 1] = target
  end
  table.sort(targets, by_age)
  return targets
end

--- A page of the targets that count, the newest first; the offset is a number.
function M:page_for_upstream(upstream_pk, size, offset, options)
  local targets, err, err_t = self:select_by_upstream_raw(upstream_pk, options)
  if not targets then
    return nil, err, err_t
  end
  local counting, seen = {}, {}
  for i = #targets, 1, -1 do
    local target = targets[i]
    if not seen[target.target] then
      seen[target.target] = true
      counting[#counting + 1] = target
    end
  end

  local pagination = self.pagination
  if type(options) == "table" and type(options.pagination) == "table" then
    pagination = table_merge(pagination, options.pagination)
  end
  size = math.min(size or pagination.page_size, pagination.max_page_size)
  offset = offset or 0

  local page = setmetatable({}, cjson.array_mt)
  for i = 1, size do
    page[i] = counting[offset + i]
  end
  return page, nil, nil, counting[offset + size + 1] and tostring(offset + size) or nil
end

-- The parts of the gateway that know upstreams at work.
local function balancer(what)
  local ok, found = require("kong.tools.module").load_module_if_exists("kong.runloop.balancer")
  if not ok or not found[what] then
    error("not supported: kong.runloop.balancer." .. what, 3)
  end
  return found
end

local function health_of(found)
  if not found or #found.addresses == 0 then
    return "DNS_ERROR"
  end
  local health = "HEALTHCHECKS_OFF"
  for _, address in ipairs(found.addresses) do
    if address.health == "HEALTHY" then
      return "HEALTHY"
    elseif address.health == "UNHEALTHY" then
      health = "UNHEALTHY"
    end
  end
  return health
end

--- `page_for_upstream` with `health` and `data` of each target.
function M:page_for_upstream_with_health(upstream_pk, ...)
  local targets, err, err_t, offset = self:page_for_upstream(upstream_pk, ...)
  if not targets then
    return nil, err, err_t
  end
  local health
  health, err = balancer("get_upstream_health").get_upstream_health(upstream_pk.id)
  if err then
    ngx.log(ngx.ERR, "failed getting upstream health: ", err)
  end
  for _, target in ipairs(health and targets or {}) do
    target.data = health[target.target]
    target.health = health_of(target.data)
  end
  return targets, nil, nil, offset
end

--- The target of an upstream with the id or the address of `filter`, the newest.
function M:select_by_upstream_filter(upstream_pk, filter, options)
  local targets, err, err_t = self:select_by_upstream_raw(upstream_pk, options)
  if not targets then
    return nil, err, err_t
  end
  for i = #targets, 1, -1 do
    local target = targets[i]
    if target.id == filter.id or target.target == filter.target then
      return target
    end
  end
end

--- Marks a target, or one of its addresses, as healthy or not.
function M:post_health(upstream_pk, target, address, is_healthy)
  local upstreams = balancer("post_health")
  local upstream = upstreams.get_upstream_by_id(upstream_pk.id)
  local host = tools_ip.normalize_ip(target.target)
  local hostname = tools_ip.format_host(host.host)
  local ip, port = nil, host.port
  if address ~= nil then
    local parsed = tools_ip.normalize_ip(address)
    ip, port = parsed.host, parsed.port or DEFAULT_PORT
  end
  local _, err = upstreams.post_health(upstream, hostname, ip, port, is_healthy)
  if err then
    return nil, err
  end
  local packet = ("%s|%s|%d|%d|%s|%s"):format(hostname, ip or "", port, is_healthy and 1 or 0, upstream.id,
    upstream.name)
  kong.cluster_events:broadcast("balancer:post_health", packet)
  return true
end

--- What the balancer knows of an upstream.
function M:get_balancer_health(upstream_pk)
  local health, err = balancer("get_balancer_health").get_balancer_health(upstream_pk.id)
  if err then
    ngx.log(ngx.ERR, "failed getting upstream health: ", err)
  end
  return health
end

return M
