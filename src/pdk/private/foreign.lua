-- kong.request and kong.response on an ngx that a test has put in the place of the gateway's own: what the first asks,
-- where its module is loaded anew, and the second's headers and status, where it is made anew.

local checks = require "kong.pdk.private.checks"
local scope = require "moongate.scope"

local type, pairs, tostring = type, pairs, tostring
local validate_header, validate_headers, normalize =
  checks.validate_header, checks.validate_headers, checks.normalize_multi_header

local M = {}

local function first(value)
  if type(value) == "table" then
    return value[1]
  end
  return value
end

--- The face with headers and status of the ngx of now.
function M.response(face)
  local own = {}
  for name, f in pairs(face) do
    own[name] = f
  end
  function own.get_status()
    return ngx.status
  end
  function own.set_status(status)
    ngx.status = status
  end
  function own.get_headers(max)
    return ngx.resp.get_headers(max)
  end
  function own.get_header(name)
    return first(own.get_headers()[name])
  end
  function own.set_header(name, value)
    validate_header(name, value)
    ngx.header[name] = normalize(value)
  end
  function own.set_headers(headers)
    validate_headers(headers)
    for name, value in pairs(headers) do
      ngx.header[name] = normalize(value)
    end
  end
  function own.clear_header(name)
    ngx.header[tostring(name)] = nil
  end
  return own
end

local ngx = scope.foreign()
if not ngx then
  return M
end

local function var(name)
  return function()
    return ngx.ctx[name] or ngx.var[name]
  end
end

local function spelt(name)
  return "http_" .. name:lower():gsub("-", "_")
end

M.request = {
  get_scheme = var "scheme",
  get_host = var "host",
  get_forwarded_scheme = var "scheme",
  get_forwarded_host = var "host",
  get_port = function()
    return tonumber(ngx.var.server_port, 10)
  end,
  get_forwarded_port = function()
    return ngx.ctx.host_port or tonumber(ngx.var.server_port, 10)
  end,
  get_path_with_query = function()
    return ngx.ctx.request_uri or ngx.var.request_uri or ""
  end,
  get_raw_path = function()
    return ((ngx.ctx.request_uri or ngx.var.request_uri or ""):gsub("^(.[^?]*)%?.*$", "%1"))
  end,
  get_raw_query = function()
    return ngx.var.args or ""
  end,
  get_method = function()
    return ngx.req.get_method()
  end,
  get_http_version = function()
    return ngx.req.http_version()
  end,
  get_start_time = function()
    return ngx.ctx.KONG_PROCESSING_START or ngx.req.start_time() * 1000
  end,
  get_query = function(max)
    return ngx.req.get_uri_args(max)
  end,
  get_query_arg = function(name)
    return first(ngx.req.get_uri_args()[name])
  end,
  get_header = function(name)
    local value = ngx.var[spelt(name)]
    if value and not value:find(", ", 1, true) then
      return value
    end
    return first(ngx.req.get_headers()[name])
  end,
  get_headers = function(max)
    return ngx.req.get_headers(max)
  end,
}

return M
