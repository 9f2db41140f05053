-- What kong.request asks, answered by an ngx that a test has put in the place of the gateway's own before it loaded
-- the module anew.

local scope = require "moongate.scope"

local ngx = scope.foreign()
if not ngx then
  return false
end

local function var(name)
  return function()
    return ngx.ctx[name] or ngx.var[name]
  end
end

local function spelt(name)
  return "http_" .. name:lower():gsub("-", "_")
end

return {
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
    local value = ngx.req.get_uri_args()[name]
    if type(value) == "table" then
      return value[1]
    end
    return value
  end,
  get_header = function(name)
    local value = ngx.var[spelt(name)]
    if value and not value:find(", ", 1, true) then
      return value
    end
    value = ngx.req.get_headers()[name]
    if type(value) == "table" then
      return value[1]
    end
    return value
  end,
  get_headers = function(max)
    return ngx.req.get_headers(max)
  end,
}
