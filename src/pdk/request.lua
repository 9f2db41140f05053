-- kong.request

local ops = require "moongate.ops"
local phases = require "kong.pdk.private.phases"
local scope = require "moongate.scope"

local op = ops["kong.request"]
package.loaded["moongate.foreign"] = nil -- it looks at the ngx of now
local foreign = require("moongate.foreign").request
if foreign then
  op = setmetatable(foreign, { __index = op })
end
local native = require "moongate.native"
local c, reply, bytes, ffi_string = native["kong.request"], native.reply, native.bytes, require("ffi").string
local c_header = not foreign and c.get_header
local c_headers, c_query, collect = c.get_headers, c.get_query, native.collect
local text_of = native.text
local take = ops.vm.take
local check, check_not = phases.check, phases.check_not
local PHASES = phases.phases
local type, error, select, rawget = type, error, select, rawget
local lower, find, sub, gsub = string.lower, string.find, string.sub, string.gsub
local pairs, clear, new = pairs, require "table.clear", require "table.new"

local REQUEST = PHASES.request
local INIT_WORKER = PHASES.init_worker
local BODY = phases.new(PHASES.rewrite, PHASES.access, PHASES.response, PHASES.error, PHASES.admin_api)
local FORM, JSON, MULTIPART = "application/x-www-form-urlencoded", "application/json", "multipart/form-data"

local NOTHING = {}

-- Names of headers are found in any case, and `_` stands for `-`.
local headers_mt = {
  __index = function(headers, name)
    if type(name) == "string" then
      return rawget(headers, (gsub(lower(name), "_", "-")))
    end
  end,
}

local function with_names(headers, err)
  return setmetatable(headers, headers_mt), err
end

-- Results of an op that answers at once or waits.
local function done(...)
  if select("#", ...) == 0 then
    return take()
  end
  return ...
end

local function check_limit(name, value, level)
  if type(value) ~= "number" then
    error(name .. " must be a number", level)
  elseif value < 1 then
    error(name .. " must be >= 1", level)
  elseif value > 1000 then
    error(name .. " must be <= 1000", level)
  end
end

local function decode_json(text)
  local ok, cjson = pcall(require, "kong.tools.cjson")
  if ok and type(cjson) == "table" and cjson.decode_with_array_mt then
    return cjson.decode_with_array_mt(text)
  end
  return (require("cjson.safe").decode(text))
end

local function array(values)
  local ok, cjson = pcall(require, "cjson")
  return ok and setmetatable(values, cjson.array_mt) or values
end

-- The list that a native leaves, as a table; nil where the op is to be asked.
local function listed(c_list, max)
  local n = c_list(nil, 0, nil, 0, reply, max or 0, 0, 0, 0)
  if n >= 0 then
    local t = new(0, n)
    return collect(t, n) and t or nil
  end
end

local field = scope.field

local request = {}

-- What tells a text: the native, if there is one and the ngx is the gateway's own.
local function getter(name)
  local get, c_get = op[name], not foreign and c[name]
  if not c_get then
    return get
  end
  return function()
    local n = c_get(nil, 0, nil, 0, reply, 0, 0, 0, 0)
    if n >= 0 then
      return ffi_string(bytes, n)
    end
    return (get())
  end
end

for _, name in ipairs { "get_forwarded_prefix", "get_http_version", "get_method", "get_raw_query" } do
  local get = getter(name)
  request[name] = function()
    check(REQUEST)
    return (get())
  end
end

-- What ngx.ctx says of the request counts before what it was; `view` shapes it.
for name, how in pairs {
  get_scheme = { "scheme" },
  get_host = { "host" },
  get_path_with_query = { "request_uri" },
  get_raw_path = { "request_uri", function(uri)
    local at = find(uri, "?", 2, true)
    return at and sub(uri, 1, at - 1) or uri
  end },
  get_path = { "request_uri", function(uri)
    local at = find(uri, "?", 2, true)
    return (op.normalize(at and sub(uri, 1, at - 1) or uri))
  end },
  get_forwarded_scheme = { "scheme", function(scheme)
    return op.from_trusted("X-Forwarded-Proto") and op.get_forwarded_scheme() or scheme
  end },
  get_forwarded_host = { "host", function(host)
    return op.from_trusted("X-Forwarded-Host") and op.get_forwarded_host() or host
  end },
  get_forwarded_port = { "host_port", function(port)
    local there = op.from_trusted("X-Forwarded-Port") or op.from_trusted("X-Forwarded-Host")
    return there and op.get_forwarded_port(port) or port
  end },
  get_forwarded_path = { "request_uri", function(uri)
    return op.from_trusted("X-Forwarded-Path") or request.get_path(uri)
  end },
} do
  local get, written, view = getter(name), how[1], how[2]
  request[name] = function()
    check(REQUEST)
    local own = field(written)
    if own == nil then
      return (get())
    end
    return view and view(own) or own
  end
end

function request.get_port()
  check_not(INIT_WORKER)
  return (op.get_port())
end

function request.get_query_arg(name)
  check(REQUEST)
  if type(name) ~= "string" then
    error("query argument name must be a string", 2)
  end
  return (op.get_query_arg(name))
end

function request.get_query(max_args)
  check(REQUEST)
  if max_args ~= nil then
    check_limit("max_args", max_args, 3)
  end
  local args, err = not foreign and listed(c_query, max_args), nil
  if not args then
    args, err = op.get_query(max_args)
  end
  -- as on Kong one table serves all calls of a request
  local ctx = scope.noted()
  local known = ctx and rawget(ctx, "uri_args")
  if type(known) ~= "table" then
    if ctx then
      ctx.uri_args = args
    end
    return args, err
  end
  clear(known)
  for name, value in pairs(args) do
    known[name] = value
  end
  return known, err
end

function request.get_header(name)
  check(REQUEST)
  if type(name) ~= "string" then
    error("header name must be a string", 2)
  end
  local v = c_header and text_of(c_header, name)
  if v == false then
    return (op.get_header(name))
  end
  return v
end

function request.get_headers(max_headers)
  check(REQUEST)
  if max_headers ~= nil then
    check_limit("max_headers", max_headers, 3)
  end
  local headers = not foreign and listed(c_headers, max_headers)
  if headers then
    return (with_names(headers))
  end
  return with_names(op.get_headers(max_headers))
end

local function raw_body(max_allowed_file_size)
  return done(op.get_raw_body(max_allowed_file_size))
end

function request.get_raw_body(max_allowed_file_size)
  check(BODY)
  return raw_body(max_allowed_file_size)
end

local function form(max_args)
  local body, err = raw_body()
  if not body then
    if find(err, "request body did not fit", 1, true) == 1 then
      err = "request body in temp file not supported"
    end
    return nil, err, FORM
  end
  local args, truncated = op.decode_args(body, max_args)
  return args, nil, FORM, truncated
end

function request.get_body(mimetype, max_args, max_allowed_file_size)
  check(BODY)
  local content_type = mimetype or op.get_header("Content-Type")
  if not content_type then
    return nil, "missing content type"
  end
  local kind = lower(content_type)
  local semicolon = find(kind, ";", 1, true)
  if semicolon then
    kind = sub(kind, 1, semicolon - 1)
  end

  if find(kind, FORM, 1, true) == 1 then
    if max_args ~= nil then
      check_limit("max_args", max_args, 3)
    end
    local args, err = form(max_args)
    return args, err, FORM
  end

  local json = find(kind, JSON, 1, true) == 1
  if not json and find(kind, MULTIPART, 1, true) ~= 1 then
    return nil, "unsupported content type '" .. content_type .. "'", kind
  end
  local body, err = raw_body(max_allowed_file_size)
  if not body then
    return nil, err, json and JSON or MULTIPART
  end
  if json then
    local value = decode_json(body)
    if type(value) ~= "table" then
      return nil, "invalid json body", JSON
    end
    return value, nil, JSON
  end
  return op.decode_multipart(body, content_type), nil, MULTIPART
end

function request.get_start_time()
  check(REQUEST, true)
  return field("KONG_PROCESSING_START") or op.get_start_time()
end

function request.get_uri_captures(ctx)
  check(REQUEST, true)
  local matches
  if ctx then
    matches = ctx.router_matches or NOTHING
  else
    matches = field("router_matches")
  end
  local unnamed, named
  if matches then
    unnamed, named = {}, {}
    for key, value in pairs(matches.uri_captures or NOTHING) do
      local kind = type(key)
      if kind == "number" then
        unnamed[key] = value
      elseif kind == "string" then
        named[key] = value
      else
        kong.log.err("unknown capture key type: ", kind)
      end
    end
  else
    unnamed, named = op.get_uri_captures()
  end
  return { unnamed = array(unnamed), named = named }
end

return {
  new = function()
    return request
  end,
  -- For the other faces of this room.
  private = {
    with_names = with_names,
    listed = listed,
    done = done,
    check_limit = check_limit,
    decode_json = decode_json,
  },
}
