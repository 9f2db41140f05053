-- kong.response

local ops = require "moongate.ops"
local checks = require "kong.pdk.private.checks"
local phases = require "kong.pdk.private.phases"
local running = require "moongate.running"
local scope = require "moongate.scope"
local private = require("kong.pdk.request").private

local native = require "moongate.native"
local op, version = ops["kong.response"], ops["kong.request"].get_http_version
local c, reply = native["kong.response"], native.reply
local c_header, c_headers = c.get_header, c.get_headers
local c_status, c_set_header, c_clear_header = c.get_status, c.set_header, c.clear_header
local check = phases.check
local PHASES = phases.phases
local with_names, listed, check_limit = private.with_names, private.listed, private.check_limit
local normalize, validate_header, validate_headers =
  checks.normalize_multi_header, checks.validate_header, checks.validate_headers
local type, error, pairs, ipairs, rawget, getmetatable = type, error, pairs, ipairs, rawget, getmetatable
local lower, fmt, find = string.lower, string.format, string.find

local READ = phases.new(PHASES.response, PHASES.header_filter, PHASES.body_filter, PHASES.log, PHASES.error,
                        PHASES.admin_api)
local WRITE = phases.new(PHASES.rewrite, PHASES.access, PHASES.response, PHASES.balancer, PHASES.header_filter,
                         PHASES.error, PHASES.admin_api)
local BODY_FILTER = PHASES.body_filter
local text_of = native.text
local MIN_STATUS, MIN_ERROR_STATUS, MAX_STATUS = 100, 400, 599

local function check_unsent()
  if op.headers_sent() then
    error("headers have already been sent", 3)
  end
end

local function check_status(status, least)
  if type(status) ~= "number" then
    error("code must be a number", 3)
  elseif status < least or status > MAX_STATUS then
    error(fmt("code must be a number between %u and %u", least, MAX_STATUS), 3)
  end
end

local function write_header(name, value)
  if type(value) ~= "table" then
    return op.set_header(name, value)
  end
  op.clear_header(name)
  for _, v in ipairs(value) do
    op.add_header(name, v)
  end
end

-- The PDK that this face was made for first: its log has the warnings.
local owner

-- Transfer-Encoding is the gateway's own business.
local function is_framing(name)
  if #name ~= 17 then
    return false
  end
  local lower_name = lower(name)
  if lower_name == "transfer-encoding" or lower_name == "transfer_encoding" then
    owner.log.warn("manually setting Transfer-Encoding. Ignored.")
    return true
  end
end

local NOTHING = {}

local function get(t, key)
  return t[key]
end


local response = {}

function response.get_status()
  check(READ)
  local status = c_status(nil, 0, nil, 0, reply, 0, 0, 0, 0)
  return status >= 0 and status or (op.get_status())
end

function response.get_header(name)
  check(READ)
  if type(name) ~= "string" then
    error("header name must be a string", 2)
  end
  local v = text_of(c_header, name)
  if v == false then
    return (op.get_header(name))
  end
  return v
end

function response.get_headers(max_headers)
  check(READ)
  if max_headers ~= nil then
    check_limit("max_headers", max_headers, 3)
  end
  local headers = listed(c_headers, max_headers)
  if headers then
    return (with_names(headers))
  end
  return with_names(op.get_headers(max_headers))
end

-- A context given by the caller may be that of another request, or one made by a test.
function response.get_source(ctx)
  local own = scope.written()
  if ctx == nil then
    check(READ, true)
    ctx = own or NOTHING
  end
  -- of the request's own context only what was written counts: the rest is the exchange's to say
  local read = (ctx == own or ctx == NOTHING) and rawget or get
  if read(ctx, "KONG_UNEXPECTED") then
    return "error"
  elseif read(ctx, "KONG_EXITED") then
    return "exit"
  elseif read(ctx, "KONG_PROXIED") then
    return "service"
  end
  return read == rawget and op.get_source() or "error"
end

function response.set_status(status)
  check(WRITE)
  check_unsent()
  check_status(status, MIN_STATUS)
  op.set_status(status)
end

function response.set_header(name, value)
  check(WRITE)
  -- what is nearly always asked, in one call
  if type(name) == "string" and type(value) == "string" and value ~= "" and #name ~= 17 then
    local done = c_set_header(name, #name, value, #value, reply, 0, 0, 0, 0)
    if done == 0 then
      return
    elseif done == 1 or op.set_header_unsent(name, value) then
      error("headers have already been sent", 2)
    end
    return
  end
  check_unsent()
  validate_header(name, value)
  if not is_framing(name) then
    write_header(name, normalize(value))
  end
end

function response.add_header(name, value)
  check(WRITE)
  check_unsent()
  validate_header(name, value)
  value = normalize(value)
  if type(value) ~= "table" then
    op.add_header(name, value)
    return
  end
  for _, v in ipairs(value) do
    op.add_header(name, v)
  end
end

function response.clear_header(name)
  check(WRITE)
  if type(name) == "string" and c_clear_header(name, #name, nil, 0, reply, 0, 0, 0, 0) == 0 then
    return
  end
  check_unsent()
  if type(name) ~= "string" then
    error("header name must be a string", 2)
  end
  op.clear_header(name)
end

local function write_headers(headers)
  for name, value in pairs(headers) do
    if not is_framing(name) then
      write_header(name, normalize(value))
    end
  end
end

function response.set_headers(headers)
  check(WRITE)
  check_unsent()
  validate_headers(headers)
  write_headers(headers)
end

-- Chunks are held back until the last one, which then carries the whole body.
function response.get_raw_body()
  check(BODY_FILTER)
  local chunk, last = op.chunk()
  local tables = scope.tables()
  local held = tables and tables.body
  if last and not held then
    return chunk
  end
  if chunk and chunk ~= "" then
    held = held or require("string.buffer").new()
    tables.body = held
    held:put(chunk)
  end
  if not last then
    op.set_chunk(nil)
    return nil
  end
  local whole = held:get()
  tables.body = nil
  op.set_chunk(whole)
  return whole
end

function response.set_raw_body(body)
  check(BODY_FILTER)
  if type(body) ~= "string" then
    error("body must be a string", 2)
  end
  op.set_chunk(body == "" and "\n" or body, true)
  local tables = scope.tables()
  if tables then
    tables.body = nil
  end
end

-- Asked for by what ngx has, which a test may have replaced.
local function is_grpc_request()
  if not op.has_grpc_type() then
    return false
  end
  local req = ngx and ngx.req
  return (req and req.http_version or version)() == 2
end

local function is_grpc_type(content_type)
  return find(content_type, "application/grpc", 1, true) == 1
end

-- The body as text; gRPC has no JSON bodies. Errors blame the plugin's call.
local function body_text(body, grpc, grpc_output)
  if type(body) ~= "table" then
    return body, false
  end
  if not grpc then
    local json, err = require("cjson.safe").encode(body)
    if not json then
      error(fmt("body encoding failed while flushing response: %s", err), 4)
    end
    return json, true
  end
  if grpc_output then
    error("table body encoding with gRPC is not supported", 4)
  end
  if type(body.message) == "string" then
    return body.message, false
  end
  owner.log.warn("body was removed because table body encoding with gRPC is not supported")
  return nil, false
end

local function set_grpc_headers(status, body, grpc_output)
  local grpc_status
  if not op.get_header("grpc-status") then
    grpc_status = op.grpc_status(status)
    op.set_header("grpc-status", tostring(grpc_status))
  end
  if body and not grpc_output then
    op.set_header("Content-Length", "0")
    op.set_header("grpc-message", body)
    return ""
  end
  if grpc_status and not op.get_header("grpc-message") then
    op.set_header("grpc-message", (op.grpc_message(grpc_status)))
  end
  return body
end

local function has(headers, dashed, underscored)
  if headers then
    for name in pairs(headers) do
      local lower_name = lower(name)
      if lower_name == dashed or lower_name == underscored then
        return true
      end
    end
  end
end

local flush

local function send(status, body, headers)
  local ctx = scope.noted()
  if ctx then
    ctx.KONG_EXITED = true
    local delayed = ctx.delay_response
    if delayed == nil and getmetatable(ctx) == nil then
      delayed = running[2] == PHASES.access -- what the field says once ngx.ctx is looked at
    end
    if delayed then
      ctx.delayed_response = { status_code = status, content = body, headers = headers }
      if not ctx.delayed_response_callback then
        ctx.delayed_response_callback = flush
      end
    end
  end
  if headers then
    write_headers(headers)
  end
  local content_type = op.get_header("Content-Type")
  local grpc_output = content_type and is_grpc_type(content_type)
  local grpc = grpc_output
  if not content_type then
    grpc = is_grpc_request()
  end
  local text, is_json = body_text(body, grpc, grpc_output)
  if is_json and not has(headers, "content-type", "content_type") then
    op.set_header("Content-Type", "application/json; charset=utf-8")
  end
  if grpc then
    text = set_grpc_headers(status, text, grpc_output)
  end
  if not has(headers, "content-length", "content_length") then
    op.set_header("Content-Length", tostring(text and #text or 0))
  end
  op.exit(status, text)
end

-- Answers with what an exit left, where it did not end the handler: one of a subrequest that shares ngx.ctx.
function flush(ctx)
  local left = ctx.delayed_response
  send(left.status_code, left.content, left.headers)
end

local function check_headers(headers)
  if headers ~= nil and type(headers) ~= "table" then
    error("headers must be a nil or table", 3)
  end
end

function response.exit(status, body, headers)
  check(WRITE)
  check_unsent()
  check_status(status, MIN_STATUS)
  if body ~= nil and type(body) ~= "string" and type(body) ~= "table" then
    error("body must be a nil, string or table", 2)
  end
  check_headers(headers)
  if headers ~= nil then
    validate_headers(headers)
  end
  send(status, body, headers)
end

local function message_text(message)
  if type(message) == "table" then
    local json, err = require("cjson.safe").encode(message)
    if not json then
      error("could not JSON encode the error message: " .. err, 3)
    end
    message = json
  end
  if message ~= nil and type(message) ~= "string" then
    error("message must be a nil, a string or a table", 3)
  end
  return message
end

function response.error(status, message, headers)
  check(WRITE)
  check_unsent()
  check_status(status, MIN_ERROR_STATUS)
  message = message_text(message)
  check_headers(headers)
  if headers ~= nil then
    validate_headers(headers)
  else
    headers = {}
  end

  local content_type = headers["Content-Type"]
  if type(content_type) == "table" then
    content_type = content_type[1]
  elseif content_type == nil then
    content_type = is_grpc_request() and "application/grpc" or op.error_type()
  end
  headers["Content-Type"] = content_type

  local body
  if content_type ~= "application/grpc" then
    body = op.error_body(status, content_type, message)
    if not body then
      error("no template found for MIME type " .. tostring(content_type), 2)
    end
  end
  send(status, body, headers)
end

return {
  new = function(self)
    owner = owner or self
    if scope.foreign() then
      return require("moongate.foreign").response(response)
    end
    return response
  end,
}
