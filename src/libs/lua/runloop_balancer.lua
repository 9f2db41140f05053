-- `kong.runloop.balancer`, and its `.upstreams`: which Upstreams there are, for plugins that look (prometheus).
-- Choosing targets is the gateway's own, and nobody checks their health.

local M = {}

local function by_name(name)
  local ok, found = pcall(function()
    return kong.db.upstreams:select_by_name(name)
  end)
  return ok and found or nil
end

--- Ids by "workspace:name"; nil and an error.
function M.get_all_upstreams()
  local all = {}
  for upstream, err in kong.db.upstreams:each(nil, { workspace = ngx.null }) do
    if not upstream then
      return nil, err
    end
    all[(upstream.ws_id or "") .. ":" .. upstream.name] = upstream.id
  end
  return all
end

--- The Upstream; nil if there is none.
function M.get_upstream_by_id(id)
  return (kong.db.upstreams:select({ id = id }, { workspace = ngx.null }))
end

--- The Upstream; false if there is none of this name.
function M.get_upstream_by_name(name)
  return by_name(name) or false
end

local function addresses(host, port)
  if host:find("^%[.*%]$") or host:find("^[%d.]+$") then
    return { { ip = host, port = port } }
  end
  local records = kong.dns.resolve(host, nil, true)
  local list = {}
  for _, record in ipairs(type(records) == "table" and records or {}) do
    local ip = record.address or record.target
    if ip then
      local given = record.port and record.port ~= 0 and record.port
      list[#list + 1] = { ip = ip, port = given or port }
    end
  end
  return list
end

local function target_health(target)
  local host, port = target.target:match("^(.*):(%d+)$")
  local found = addresses(host, tonumber(port))
  for _, address in ipairs(found) do
    address.weight, address.health = target.weight, "HEALTHCHECKS_OFF"
  end
  return {
    host = host, port = tonumber(port), nodeWeight = target.weight, dns = #found > 0 and "A" or "ttl=0",
    weight = { total = target.weight, available = target.weight, unavailable = 0 }, addresses = found,
  }
end

--- What is known of each target of an Upstream, by "host:port"; nil and an error.
function M.get_upstream_health(id)
  local upstream = M.get_upstream_by_id(id)
  if not upstream then
    return nil, "upstream not found"
  end
  local health = {}
  for target, err in kong.db.targets:each_for_upstream({ id = id }, nil, { workspace = ngx.null }) do
    if not target then
      return nil, err
    end
    health[target.target] = target_health(target)
  end
  return health
end

--- The health of an Upstream as a whole.
function M.get_balancer_health(id)
  if not M.get_upstream_by_id(id) then
    return nil, "upstream not found"
  end
  return { health = "HEALTHCHECKS_OFF", id = id }
end

for _, name in ipairs {
  "init", "execute", "after_balance", "on_target_event", "on_upstream_event", "post_health",
  "subscribe_to_healthcheck_events", "unsubscribe_from_healthcheck_events", "stop_healthcheckers", "set_host_header",
  "set_cookie",
} do
  M[name] = function()
    error("not supported: kong.runloop.balancer." .. name, 2)
  end
end

return { ["kong.runloop.balancer"] = M, ["kong.runloop.balancer.upstreams"] = M }
