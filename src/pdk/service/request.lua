-- kong.service.request

local ops = require "moongate.ops"
local checks = require "kong.pdk.private.checks"
local phases = require "kong.pdk.private.phases"
local private = require("kong.pdk.request").private

local native = require "moongate.native"
local op = ops["kong.service.request"]
local c, reply = native["kong.service.request"], native.reply
local c_set_header, c_clear_header = c.set_header, c.clear_header
local client = ops["kong.request"]
local check = phases.check
local PHASES = phases.phases
local done = private.done
local normalize, validate_header, validate_headers =
  checks.normalize_multi_header, checks.validate_header, checks.validate_headers
local type, error, pairs, ipairs, tostring = type, error, pairs, ipairs, tostring
local lower, byte, find, sub = string.lower, string.byte, string.find, string.sub

local EARLY = phases.new(PHASES.rewrite, PHASES.access)
local BEFORE_CONNECT = phases.new(PHASES.rewrite, PHASES.access, PHASES.balancer)
local TLS_SWITCH = phases.new(PHASES.preread, PHASES.balancer)
local SLASH, QUOTE = byte("/"), byte('"')

local METHODS = {}
for _, name in ipairs {
  "GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "MKCOL", "COPY", "MOVE", "PROPFIND", "PROPPATCH", "LOCK",
  "UNLOCK", "PATCH", "TRACE",
} do
  METHODS[name] = true
end

local request = {}

function request.enable_buffering()
  check(BEFORE_CONNECT, true)
  op.enable_buffering()
end

function request.set_scheme(scheme)
  check(BEFORE_CONNECT)
  if type(scheme) ~= "string" then
    error("scheme must be a string", 2)
  end
  if scheme ~= "http" and scheme ~= "https" then
    error("invalid scheme: " .. scheme, 2)
  end
  op.set_scheme(scheme)
end

function request.set_path(path)
  check(BEFORE_CONNECT)
  if type(path) ~= "string" then
    error("path must be a string", 2)
  end
  if byte(path) ~= SLASH then
    error("path must start with /", 2)
  end
  op.set_path(path)
end

function request.set_raw_query(query)
  check(EARLY)
  if type(query) ~= "string" then
    error("query must be a string", 2)
  end
  op.set_raw_query(query)
end

function request.set_method(method)
  check(EARLY)
  if type(method) ~= "string" then
    error("method must be a string", 2)
  end
  if not METHODS[method] then
    error("invalid method: " .. method, 2)
  end
  op.set_method(method)
end

local escape = op.escape

-- One value of an argument, as ngx.encode_args writes it; false is left out.
local function encode_arg(out, key, value)
  local kind = type(value)
  if kind == "string" or kind == "number" then
    out[#out + 1] = key .. "=" .. escape(tostring(value))
  elseif value == true then
    out[#out + 1] = key
  elseif kind ~= "boolean" then
    return "attempt to use " .. kind .. " as query arg value"
  end
end

-- Arguments in order of their encoded text, so that equal tables give equal queries.
local function encode_args(args)
  local out = {}
  for name, value in pairs(args) do
    if type(name) ~= "string" then
      return nil, "arg keys must be strings"
    end
    local key, parts, err = escape(name), {}, nil
    if type(value) == "table" then
      for _, v in ipairs(value) do
        err = err or encode_arg(parts, key, v)
      end
    else
      err = encode_arg(parts, key, value)
    end
    if err then
      return nil, err
    end
    out[#out + 1] = table.concat(parts, "&")
  end
  table.sort(out)
  return table.concat(out, "&")
end

function request.set_query(args)
  check(EARLY)
  if type(args) ~= "table" then
    error("args must be a table", 2)
  end
  local query, err = encode_args(args)
  if not query then
    error(err, 2)
  end
  op.set_raw_query(query)
end

function request.clear_query_arg(name)
  check(EARLY)
  if type(name) ~= "string" then
    error("query argument name must be a string", 2)
  end
  op.clear_query_arg(name)
end

local function first(value)
  if type(value) == "table" then
    return value[1] or ""
  end
  return value
end

local function write_header(name, value)
  if type(value) ~= "table" then
    op.set_header(name, value)
    return
  end
  op.clear_header(name)
  for _, v in ipairs(value) do
    op.add_header(name, v)
  end
end

function request.set_header(header, value)
  check(BEFORE_CONNECT)
  -- what is nearly always asked, in one call
  if type(header) == "string" and type(value) == "string" and value ~= "" and #header ~= 4 and #header ~= 10
    and c_set_header(header, #header, value, #value, reply, 0, 0, 0, 0) == 0 then
    return
  end
  validate_header(header, value)
  local length = #header
  if length ~= 4 and length ~= 10 then
    return write_header(header, normalize(value))
  end
  local name = lower(header)
  value = normalize(value)
  if name == "host" then
    op.set_host(first(value))
  elseif name == ":authority" then
    local scheme = op.get_scheme()
    if scheme ~= "grpc" and scheme ~= "grpcs" then
      return nil, "cannot set :authority pseudo-header on non-grpc requests"
    end
    op.set_host(first(value))
    return true
  end
  write_header(header, value)
end

function request.add_header(header, value)
  check(EARLY)
  validate_header(header, value)
  value = normalize(value)
  if lower(header) == "host" then
    op.set_host(first(value))
    write_header(header, first(value))
  elseif type(value) == "table" then
    for _, v in ipairs(value) do
      op.add_header(header, v)
    end
  else
    op.add_header(header, value)
  end
end

function request.clear_header(header)
  check(EARLY)
  if type(header) ~= "string" then
    error("header must be a string", 2)
  end
  if c_clear_header(header, #header, nil, 0, reply, 0, 0, 0, 0) ~= 0 then
    op.clear_header(header)
  end
end

function request.set_headers(headers)
  check(EARLY)
  validate_headers(headers)
  for name, value in pairs(headers) do
    value = normalize(value)
    if lower(name) == "host" then
      op.set_host(first(value))
    end
    write_header(name, value)
  end
end

-- What the client still sends must be taken from the connection before another body can replace it.
local function replace_body(body)
  local ok, err = done(client.read_body())
  if not ok then
    error(err, 3)
  end
  op.set_raw_body(body)
end

function request.set_raw_body(body)
  check(BEFORE_CONNECT)
  if type(body) ~= "string" then
    error("body must be a string", 2)
  end
  replace_body(body)
end

local encoders = {}

encoders["application/x-www-form-urlencoded"] = function(args, mime)
  local body, err = encode_args(args)
  if not body then
    error(err, 3)
  end
  return body, mime
end

encoders["application/json"] = function(args, mime)
  local body, err = require("cjson.safe").encode(args)
  if not body then
    error(err, 3)
  end
  return body, mime
end

local function given_boundary(mime)
  local at = find(mime, "boundary=", 1, true)
  if not at then
    return nil
  end
  at = at + 9
  if byte(mime, at) ~= QUOTE then
    return sub(mime, at)
  end
  local till = find(mime, '"', at + 1, true)
  return sub(mime, at + 1, till and till - 1)
end

local function field_names(args)
  local names = {}
  for name, value in pairs(args) do
    if type(name) ~= "string" then
      error(("invalid key %q: got %s, expected string"):format(tostring(name), type(name)), 4)
    end
    local kind = type(value)
    if kind ~= "string" and kind ~= "number" and kind ~= "boolean" then
      error(("invalid value %q: got %s, expected string, number or boolean"):format(name, kind), 4)
    end
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

local function occurs(args, text)
  for _, value in pairs(args) do
    if find(tostring(value), text, 1, true) then
      return true
    end
  end
end

encoders["multipart/form-data"] = function(args, mime)
  local names = field_names(args)
  local boundary = given_boundary(mime)
  while not boundary or occurs(args, "\n--" .. boundary) do
    boundary = tostring(math.random(1e10))
  end
  local out = {}
  for _, name in ipairs(names) do
    out[#out + 1] = "--" .. boundary .. '\r\nContent-Disposition: form-data; name="' .. name .. '"\r\n\r\n'
      .. tostring(args[name]) .. "\r\n"
  end
  out[#out + 1] = "--" .. boundary .. "--\r\n"
  return table.concat(out), "multipart/form-data; boundary=" .. boundary
end

function request.set_body(args, mime)
  check(EARLY)
  if type(args) ~= "table" then
    error("args must be a table", 2)
  end
  if mime and type(mime) ~= "string" then
    error("mime must be a string", 2)
  end
  mime = mime or client.get_header("Content-Type")
  if not mime then
    return nil, "content type was neither explicitly given as an argument or received as a header"
  end
  local semicolon = find(mime, ";", 1, true)
  local encode = encoders[semicolon and sub(mime, 1, semicolon - 1) or mime]
  if not encode then
    error("unsupported content type " .. mime, 2)
  end
  local body, content_type = encode(args, mime)
  replace_body(body)
  op.set_header("Content-Type", content_type)
  return true
end

-- Between tries (a retry callback): the next one goes without TLS, or with it.
function request.disable_tls()
  check(TLS_SWITCH, true)
  op.set_scheme("http")
  return true
end

function request.enable_tls()
  check(TLS_SWITCH, true)
  op.set_scheme("https")
  return true
end

return {
  new = function()
    return request
  end,
}
