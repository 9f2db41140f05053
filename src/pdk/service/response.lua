-- kong.service.response

local ops = require "moongate.ops"
local phases = require "kong.pdk.private.phases"
local private = require("kong.pdk.request").private

local scope = require "moongate.scope"

local op = ops["kong.service.response"]
local headers = ops["kong.response"]
local decode = ops["kong.request"]
local check = phases.check
local PHASES = phases.phases
local check_limit, decode_json = private.check_limit, private.decode_json
local type, error, rawget, setmetatable = type, error, rawget, setmetatable
local lower, find, sub, gsub = string.lower, string.find, string.sub, string.gsub
local field = scope.field

local READ = phases.new(PHASES.response, PHASES.header_filter, PHASES.body_filter, PHASES.log)
local FORM, JSON, MULTIPART = "application/x-www-form-urlencoded", "application/json", "multipart/form-data"

-- A name that is spelt otherwise than in the table is looked up among what the upstream sent.
local upstreams_mt = {
  __index = function(all, name)
    if type(name) == "string" and headers.get_header(name, true) ~= nil then
      return rawget(all, (gsub(lower(name), "_", "-")))
    end
  end,
}

local response = {}

function response.get_status()
  check(READ)
  return field("buffered_status") or (op.get_status())
end

function response.get_headers(max_headers)
  check(READ)
  if max_headers ~= nil then
    check_limit("max_headers", max_headers, 3)
  end
  local all, err = headers.get_headers(max_headers)
  return setmetatable(all, upstreams_mt), err
end

function response.get_header(name)
  check(READ)
  if type(name) ~= "string" then
    error("name must be a string", 2)
  end
  return (headers.get_header(name, true))
end

local function buffered()
  local buffering, body = op.get_raw_body()
  body = field("buffered_body") or body
  if not buffering and not field("buffered_proxying") then
    error("service body is only available with buffered proxying (see: kong.service.request.enable_buffering "
          .. "function)", 3)
  end
  return body
end

function response.get_raw_body()
  check(READ)
  local body = buffered()
  return body
end

function response.get_body(mimetype, max_args)
  check(READ)
  local body = buffered()
  local content_type = mimetype or headers.get_header("Content-Type")
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
    return (decode.decode_args(body, max_args or 100)), nil, FORM
  elseif find(kind, JSON, 1, true) == 1 then
    local value = decode_json(body)
    if type(value) ~= "table" then
      return nil, "invalid json body", JSON
    end
    return value, nil, JSON
  elseif find(kind, MULTIPART, 1, true) == 1 then
    return decode.decode_multipart(body, content_type), nil, MULTIPART
  end
  return nil, "unsupported content type '" .. content_type .. "'", kind
end

return {
  new = function()
    return response
  end,
}
