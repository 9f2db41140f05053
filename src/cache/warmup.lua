-- kong.cache.warmup: puts entities into the caches before the first request asks for them.

local buffer = require("string.buffer")
local constants = require("kong.constants")
local hostname_type = require("kong.tools.ip").hostname_type
local module = require("kong.tools.module")
local NO_TTL_FLAG = require("kong.resty.mlcache").NO_TTL_FLAG

local floor, max, ipairs, type = math.floor, math.max, ipairs, type
local ngx_log, now, NOTICE, DEBUG = ngx.log, ngx.now, ngx.NOTICE, ngx.DEBUG
local kong = kong

local M = {}

local GLOBAL = { workspace = ngx.null, show_ws_id = true }

-- What is held in memory by other means, and why asking for it does nothing.
local IGNORED = {
  routes = "the 'routes' entity is ignored in the list of 'db_cache_warmup_entities' because Kong caches "
    .. "routes in memory separately",
  plugins = "the 'plugins' entity is ignored in the list of 'db_cache_warmup_entities' because Kong "
    .. "pre-warms plugins automatically",
}

-- for specs
function M._mock_kong(mock)
  kong = mock
end

local function acl_groups()
  local found, groups = module.load_module_if_exists("kong.plugins.acl.groups")
  return found and groups or nil
end

local function ms_since(start)
  return floor((now() - start) * 1000)
end

local function page_size(dao)
  return dao.pagination and dao.pagination.max_page_size
end

-- Resolves the hosts of services that are not names of upstreams.
local function warm_dns(premature, hosts)
  if premature or not (kong.dns and kong.dns.toip) then
    return
  end
  ngx_log(NOTICE, "warming up DNS entries ...")
  local start = now()
  local upstreams, names = kong.db.upstreams, {}
  if upstreams then
    for upstream, err in upstreams:each(page_size(upstreams), GLOBAL) do
      if err then
        ngx_log(NOTICE, "failed to iterate over upstreams: ", err)
        break
      end
      names[upstream.name] = true
    end
  end
  for _, host in ipairs(hosts) do
    if not names[host] then
      kong.dns.toip(host)
    end
  end
  ngx_log(NOTICE, "finished warming up DNS entries into the cache (in ", ms_since(start), "ms)")
end

--- Puts one entity into the cache its kind belongs to: true, or `nil, err`.
function M.single_entity(dao, entity)
  local key = dao:cache_key(entity)
  local cache = kong[constants.ENTITY_CACHE_STORE[dao.schema.name]]
  local ok, err
  if cache then
    ok, err = cache:safe_set(key, entity)
  else
    local ttl = max(kong.configuration.db_cache_ttl or 3600, 0)
    ok, err = ngx.shared.kong_core_db_cache:safe_set("kong_core_db_cache" .. key, buffer.encode(entity), ttl,
      ttl == 0 and NO_TTL_FLAG or 0)
  end
  if not ok then
    return nil, err
  end
  return true
end

--- Puts all entities of a kind into the cache: true, or `nil, err`.
function M.single_dao(dao)
  local name = dao.schema.name
  local store = constants.ENTITY_CACHE_STORE[name]
  ngx_log(NOTICE, "Preloading '", name, "' into the ", store, "...")
  local start = now()
  local groups = name == "acls" and acl_groups()
  local hosts, known = {}, {}
  for entity, err in dao:each(page_size(dao), GLOBAL) do
    if err then
      return nil, err
    end
    local host = name == "services" and entity.host
    if host and not known[host] and hostname_type(host) == "name" then
      known[host] = true
      hosts[#hosts + 1] = host
    end
    local ok
    ok, err = M.single_entity(dao, entity)
    if not ok then
      return nil, err
    end
    if groups then
      ngx_log(DEBUG, "warmup acl groups cache for consumer id: ", entity.consumer.id, "...")
      local _, groups_err = groups.warmup_groups_cache(entity.consumer.id)
      if groups_err then
        ngx_log(NOTICE, "warmup acl groups cache for consumer id: ", entity.consumer.id, " err: ", groups_err)
      end
    end
  end
  if #hosts > 0 then
    ngx.timer.at(0, warm_dns, hosts)
  end
  ngx_log(NOTICE, "finished preloading '", name, "' into the ", store, " (in ", ms_since(start), "ms)")
  return true
end

--- Puts the entities of these kinds into the caches. A full cache ends it, and is no error.
function M.execute(names)
  if not kong.cache or not kong.core_cache then
    return true
  end
  for _, name in ipairs(names) do
    local dao = kong.db[name]
    if IGNORED[name] then
      kong.log.notice(IGNORED[name])
    elseif type(dao) ~= "table" or not dao.schema then
      kong.log.warn(name, " is not a valid entity name, please check the value of 'db_cache_warmup_entities'")
    else
      local ok, err = M.single_dao(dao)
      if err == "no memory" then
        kong.log.warn("cache warmup has been stopped because cache memory is exhausted, please consider ",
          "increasing the value of 'mem_cache_size' (currently at ", kong.configuration.mem_cache_size, ")")
        return true
      elseif not ok then
        return nil, err
      end
    end
  end
  return true
end

return M
