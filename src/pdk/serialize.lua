-- kong.log.serialize: a request as a table, for the plugins that log it.

local ops = require "moongate.ops"
local phases = require "kong.pdk.private.phases"
local scope = require "moongate.scope"

local op = ops["kong.log"]
local check = phases.check
local PHASES = phases.phases
local type, error, pairs, ipairs, tostring = type, error, pairs, ipairs, tostring
local setmetatable = setmetatable
local byte, sub, gsub = string.byte, string.sub, string.gsub

local SETTABLE = phases.new(PHASES.rewrite, PHASES.access, PHASES.header_filter, PHASES.response,
                            PHASES.body_filter, PHASES.log)
local LOG = PHASES.log
local DOT, ESCAPE = byte("."), byte("\\")

local serializer = {}

function serializer.set_serialize_value(key, value, options)
  check(SETTABLE)
  if type(key) ~= "string" then
    error("key must be a string", 2)
  end
  local mode = options and options.mode or "set"
  if mode ~= "set" and mode ~= "add" and mode ~= "replace" then
    error("mode must be 'set', 'add' or 'replace'", 2)
  end
  local ctx = options and options.ngx and options.ngx.ctx or scope.ctx()
  local values = ctx.serialize_values
  if not values then
    values = {}
    ctx.serialize_values = values
  end
  values[#values + 1] = { key = key, value = value, mode = mode }
end

local function is_plain(value, seen)
  local kind = type(value)
  if value == nil or kind == "number" or kind == "string" or kind == "boolean" then
    return true
  end
  if kind == "userdata" or kind == "lightuserdata" then
    return ngx and value == ngx.null
  end
  if kind ~= "table" or seen[value] then
    return false
  end
  seen[value] = true
  for k, v in pairs(value) do
    local key_kind = type(k)
    if key_kind ~= "string" and key_kind ~= "number" and key_kind ~= "boolean" or not is_plain(v, seen) then
      return false
    end
  end
  return true
end

local function unescaped(key)
  return (gsub(key, "\\%.", "."))
end

-- The table that the last part of `key` goes into, and that part; nil where a part is missing and may not be made.
local function walk(node, key, make)
  local from = 1
  for i = 2, #key do
    if byte(key, i) == DOT and byte(key, i - 1) ~= ESCAPE then
      local name = unescaped(sub(key, from, i - 1))
      from = i + 1
      if node[name] == nil then
        if not make then
          return nil
        end
        node[name] = {}
      elseif type(node[name]) ~= "table" then
        error("The key '" .. key .. "' could not be used as a serialize value. Subkey '" .. name
              .. "' is not a table. It's " .. tostring(node[name]))
      end
      node = node[name]
    end
  end
  return node, unescaped(sub(key, from))
end

local function apply(root, values)
  for _, item in ipairs(values) do
    if not is_plain(item.value, {}) then
      error("value must be nil, a number, string, boolean or a non-self-referencial table containing numbers, "
            .. "string and booleans", 3)
    end
    local mode = item.mode
    local node, name = walk(root, item.key, mode ~= "replace")
    if node then
      local missing = node[name] == nil
      if mode == "set" or mode == "add" and missing or mode == "replace" and not missing then
        node[name] = item.value
      end
    end
  end
end

local function copy(value, seen)
  if type(value) ~= "table" then
    return value
  end
  seen = seen or {}
  if seen[value] then
    return seen[value]
  end
  local out = {}
  seen[value] = out
  for k, v in pairs(value) do
    out[copy(k, seen)] = copy(v, seen)
  end
  return setmetatable(out, getmetatable(value))
end

local function authenticated_entity(ctx)
  local credential = ctx.authenticated_credential
  if credential ~= nil then
    return { id = credential.id, consumer_id = credential.consumer_id }
  end
end

local function redact(headers)
  for _, name in ipairs { "authorization", "proxy-authorization" } do
    if headers[name] ~= nil then
      headers[name] = "REDACTED"
    end
  end
  return headers
end

-- ngx.ctx's own, where a plugin or a test put them there.
local function tries(ctx, known)
  local data = ctx.balancer_data
  if type(data) == "table" and not known.stale then
    return data.tries
  end
  local list = known.tries
  if list then
    local mt = require("cjson.safe").array_mt
    return mt and setmetatable(list, mt) or list
  end
end

function serializer.serialize(options)
  check(LOG)
  local kong = options and options.kong or kong
  local ctx = options and options.ngx and options.ngx.ctx or scope.ctx() or {}
  local known = op.serialize() or {}
  local request = {
    id = known.id,
    uri = known.uri,
    url = known.url,
    querystring = kong.request.get_query(),
    method = kong.request.get_method(),
    size = known.size,
    tls = known.tls_version and {
      version = known.tls_version,
      cipher = known.tls_cipher,
      client_verify = ctx.CLIENT_VERIFY_OVERRIDE or known.client_verify,
    },
  }
  local response = { status = known.status, size = known.bytes_sent }
  if not (options and options.__skip_fetch_headers__) then
    request.headers = redact(kong.request.get_headers())
    response.headers = kong.response.get_headers()
  end
  local root = {
    request = request,
    upstream_uri = known.upstream_uri,
    upstream_status = known.upstream_status,
    response = response,
    latencies = known.latencies,
    tries = tries(ctx, known),
    authenticated_entity = authenticated_entity(ctx),
    route = copy(kong.router.get_route()),
    service = copy(kong.router.get_service()),
    consumer = copy(ctx.authenticated_consumer),
    client_ip = known.client_ip,
    started_at = kong.request.get_start_time(),
    source = known.source,
    workspace = ctx.workspace,
    workspace_name = "default",
  }
  if ctx.serialize_values then
    apply(root, ctx.serialize_values)
  end
  return root
end

return serializer
