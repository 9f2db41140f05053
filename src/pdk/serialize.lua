-- kong.log.serialize: a request as a table, for the plugins that log it.

local ops = require "moongate.ops"
local phases = require "kong.pdk.private.phases"
local scope = require "moongate.scope"

local op = ops["kong.log"]
local check = phases.check
local PHASES = phases.phases
local type, error, pairs, ipairs, tostring = type, error, pairs, ipairs, tostring
local setmetatable = setmetatable
local byte, sub, gsub, find = string.byte, string.sub, string.gsub, string.find
local rawget, tonumber = rawget, tonumber

local SETTABLE = phases.new(PHASES.rewrite, PHASES.access, PHASES.header_filter, PHASES.response,
                            PHASES.body_filter, PHASES.log)
local LOG = PHASES.log
local DOT, ESCAPE, QUESTION_MARK = byte("."), byte("\\"), byte("?")

local function null()
  return ngx and ngx.null
end

-- Whether it is the gateway's own ngx, and not one that a test made.
local function is_native(other)
  return other == ngx and ops.ngx_core ~= nil and other.null == ops.ngx_core.null()
end

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
  if kind == "cdata" then
    return false
  elseif value == nil or value == null() or kind == "number" or kind == "string" or kind == "boolean" then
    return true
  elseif kind ~= "table" or seen[value] then
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

local function tries(ctx, known)
  -- a table that Lua was given, or made; else what the gateway knows
  local data = rawget(ctx, "balancer_data")
  if type(data) == "table" and not known.stale then
    return data.tries
  end
  local list = known.tries
  if list then
    local mt = require("cjson.safe").array_mt
    return mt and setmetatable(list, mt) or list
  end
end

local function decimal(text)
  return type(text) == "string" and tonumber(text, 10) or text
end

-- What is there of the running request; `options` may bring an ngx with other variables.
local function own(ctx, kong)
  local var, known = ngx and ngx.var or {}, op.serialize() or {}
  local latencies = known.latencies or {}
  return {
    id = rawget(ctx, "request_id") or known.id, uri = rawget(ctx, "request_uri") or known.uri, url = known.url,
    size = decimal(var.request_length or known.size), sent = decimal(var.bytes_sent or known.bytes_sent),
    status = known.status, upstream_uri = known.upstream_uri, upstream_status = var.upstream_status or "", tries = tries(ctx, known),
    client_ip = known.client_ip, version = known.tls_version, cipher = known.tls_cipher,
    client_verify = known.client_verify, headers = ngx and ngx.resp and ngx.resp.get_headers or kong.response.get_headers,
    latencies = {
      kong = rawget(ctx, "KONG_PROXY_LATENCY") or rawget(ctx, "KONG_RESPONSE_LATENCY") or latencies.kong,
      proxy = rawget(ctx, "KONG_WAITING_TIME") or latencies.proxy,
      request = latencies.request,
      receive = rawget(ctx, "KONG_RECEIVE_TIME") or latencies.receive,
    },
  }
end

local function uri_with_query(var, uri)
  local upstream = var.upstream_uri or ""
  if upstream == "" or find(upstream, "?", 1, true) then
    return upstream
  elseif byte(uri, -1) == QUESTION_MARK then
    return upstream .. "?"
  elseif var.is_args == "?" then
    return upstream .. "?" .. (var.args or "")
  end
  return upstream
end

-- The same of an ngx that the caller brings.
local function given(other, ctx)
  local var = other.var
  local uri = ctx.request_uri or var.request_uri or ""
  local port = ctx.host_port or tonumber(var.server_port, 10)
  local version = var.ssl_protocol
  return {
    id = ctx.request_id or var.kong_request_id or "", uri = uri,
    url = var.scheme .. "://" .. var.host .. (port and ":" .. port or "") .. uri,
    size = decimal(var.request_length), sent = decimal(var.bytes_sent), status = other.status,
    upstream_uri = uri_with_query(var, uri), upstream_status = var.upstream_status or ctx.buffered_status or "",
    tries = ctx.balancer_data and ctx.balancer_data.tries, client_ip = var.remote_addr,
    version = version ~= "" and version or nil, cipher = var.ssl_cipher, client_verify = var.ssl_client_verify,
    headers = other.resp.get_headers,
    latencies = {
      kong = ctx.KONG_PROXY_LATENCY or ctx.KONG_RESPONSE_LATENCY or 0,
      proxy = ctx.KONG_WAITING_TIME or -1,
      request = tonumber(var.request_time) * 1000,
      receive = ctx.KONG_RECEIVE_TIME or 0,
    },
  }
end

-- The line of a stream: there are none here, but a test may bring the ngx of one.
local function of_stream(other, ctx, kong)
  local var = other.var
  local version = var.ssl_protocol
  return {
    session = {
      tls = version and {
        version = version, cipher = var.ssl_cipher,
        client_verify = ctx.CLIENT_VERIFY_OVERRIDE or var.ssl_client_verify,
      },
      received = decimal(var.bytes_received),
      sent = decimal(var.bytes_sent),
      status = other.status,
      server_port = ctx.host_port or tonumber(var.server_port, 10),
    },
    upstream = { received = decimal(var.upstream_bytes_received), sent = decimal(var.upstream_bytes_sent) },
    latencies = {
      kong = ctx.KONG_PROXY_LATENCY or ctx.KONG_RESPONSE_LATENCY or 0,
      session = var.session_time * 1000,
    },
    tries = ctx.balancer_data and ctx.balancer_data.tries,
    client_ip = var.remote_addr,
    started_at = kong.request.get_start_time(),
  }
end

local SOURCES = { service = "upstream", exit = "kong", error = "kong" }

local function of_request(from, ctx, kong, without_headers)
  local request = {
    id = from.id,
    uri = from.uri,
    url = from.url,
    querystring = kong.request.get_query(),
    method = kong.request.get_method(),
    size = from.size,
    tls = from.version and {
      version = from.version,
      cipher = from.cipher,
      client_verify = ctx.CLIENT_VERIFY_OVERRIDE or from.client_verify,
    },
  }
  local response = { status = from.status, size = from.sent }
  if not without_headers then
    request.headers = redact(kong.request.get_headers())
    response.headers = from.headers()
  end
  return {
    request = request,
    upstream_uri = from.upstream_uri,
    upstream_status = from.upstream_status,
    response = response,
    latencies = from.latencies,
    tries = from.tries,
    client_ip = from.client_ip,
    started_at = kong.request.get_start_time(),
    source = SOURCES[kong.response.get_source(ctx)],
  }
end

function serializer.serialize(options)
  check(LOG)
  local kong = options and options.kong or kong
  local other = options and options.ngx
  local ctx = other and other.ctx or scope.ctx() or {}
  local root
  if other and other.config and other.config.subsystem == "stream" then
    root = of_stream(other, ctx, kong)
  else
    local from = other and not is_native(other) and given(other, ctx) or own(ctx, kong)
    root = of_request(from, ctx, kong, options and options.__skip_fetch_headers__)
  end
  root.authenticated_entity = authenticated_entity(ctx)
  root.route = copy(ctx.route)
  root.service = copy(ctx.service)
  root.consumer = copy(ctx.authenticated_consumer)
  root.workspace = ctx.workspace
  root.workspace_name = "default"
  if ctx.serialize_values then
    apply(root, ctx.serialize_values)
  end
  return root
end

return serializer
