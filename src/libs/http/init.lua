-- `resty.http`: a client of HTTP/1.1 over cosockets, with TLS or without.

local http_headers = require "resty.http_headers"
local bodies = require "moongate.libs.http_body"
local connecting = require "moongate.libs.http_connect"

local type, pairs, pcall, error, setmetatable = type, pairs, pcall, error, setmetatable
local tonumber, tostring = tonumber, tostring
local concat, upper, lower = table.concat, string.upper, string.lower

local M = { _VERSION = "0.17.2" }
M._USER_AGENT = "lua-resty-http/" .. M._VERSION .. " (Lua) ngx_lua/" .. ngx.config.ngx_lua_version

local mt = { __index = M }

-- Methods whose requests say that they have no body.
local EMPTY_BODY = { POST = true, PUT = true, PATCH = true }
local VERSIONS = { [1.0] = " HTTP/1.0\r\n", [1.1] = " HTTP/1.1\r\n" }

require "moongate.libs.http_pipeline" (M)

--- A client with a socket that is not yet connected.
function M.new()
  local sock, err = ngx.socket.tcp()
  if not sock then
    return nil, err
  end
  return setmetatable({ sock = sock, keepalive = true }, mt)
end

function M:set_timeout(ms)
  return self.sock:settimeout(ms)
end

function M:set_timeouts(connect_ms, send_ms, read_ms)
  return self.sock:settimeouts(connect_ms, send_ms, read_ms)
end

function M:get_reused_times()
  return self.sock:getreusedtimes()
end

function M:close()
  return self.sock:close()
end

--- Keeps the connection for a later client, or closes it when the server said so or its answer was not read
-- to the end; then the results are 2 and a reason.
function M:set_keepalive(...)
  if self.keepalive and not self.unread then
    return self.sock:setkeepalive(...)
  end
  local ok, err = self.sock:close()
  if not ok then
    return nil, err
  end
  return 2, "connection must be closed"
end

--- { scheme, host, port, path, query }; the query is part of the path unless `query_in_path` is false.
function M:parse_uri(uri, query_in_path)
  local scheme, rest = uri:match("^(https?)://(.*)$")
  if not scheme then
    rest = uri:match("^//(.*)$")
    local in_request, of_request = pcall(function() return ngx.var.scheme end)
    scheme = in_request and of_request
    if rest and scheme ~= "http" and scheme ~= "https" then
      return nil, "schemaless URIs require a request context: " .. uri
    end
  end
  local host, after
  if rest then
    host, after = rest:match("^(%[[^%]]+%])(.*)$")
    if not host then
      host, after = rest:match("^([^:/?%[%]]+)(.*)$")
    end
  end
  if not host then
    return nil, "bad uri: " .. uri
  end
  local port, path, query = after:match("^:(%d+)([^?]*)%??(.*)$")
  if not port then
    path, query = after:match("^([^?]*)%??(.*)$")
  end
  if path == "" then
    path = "/"
  end
  if query_in_path ~= false and query ~= "" then
    path, query = path .. "?" .. query, nil
  end
  return { scheme, host, tonumber(port) or (scheme == "https" and 443 or 80), path, query }
end

--- Proxies for `connect`: `http_proxy`, `http_proxy_authorization`, `no_proxy` (names and suffixes, or "*").
function M:set_proxy_options(options)
  local copy = {}
  for k, v in pairs(options) do
    copy[k] = v
  end
  self.proxy_opts = copy
end

--- The proxy's address for a scheme and host, or nil.
function M:get_proxy_uri(scheme, host)
  local options = self.proxy_opts
  if not options then
    return nil
  end
  local except = options.no_proxy
  if except == "*" then
    return nil
  end
  for name in (except or ""):gmatch("[^,%s]+") do
    name = name:gsub("^%.", "")
    if host == name or host:sub(-#name - 1) == "." .. name then
      return nil
    end
  end
  return options[scheme .. "_proxy"]
end

--- Connects: `connect(host, port, options)`, `connect("unix:/path")` or
-- `connect { scheme =, host =, port =, pool =, pool_size =, backlog =, proxy_opts =, ssl_verify =, ssl_server_name =,
-- ssl_reused_session =, ssl_client_cert =, ssl_client_priv_key = }`, which gives the session as the third result.
function M:connect(host, port, ...)
  self.keepalive, self.unread = true, nil
  if type(host) == "table" then
    return connecting.by_options(self, host)
  end
  self.host, self.port, self.proxied, self.ssl = host, type(port) == "number" and port or nil, nil, nil
  return self.sock:connect(host, port, ...)
end

-- === requests ===

local function head_of(self, params)
  local headers = http_headers.new()
  for name, value in pairs(params.headers or {}) do
    headers[name] = value
  end
  local method, version, body = upper(params.method or "GET"), params.version or 1.1, params.body
  local kind = type(body)
  local chunked = false
  if kind == "function" then
    local coding = headers["Transfer-Encoding"]
    chunked = type(coding) == "string" and lower(coding) == "chunked"
    if not chunked and not headers["Content-Length"] then
      return nil, "Request body is a function but a length or chunked encoding is not specified"
    end
  elseif headers["Transfer-Encoding"] == nil and headers["Content-Length"] == nil then
    if kind == "string" then
      headers["Content-Length"] = #body
    elseif kind == "table" then
      local length = 0
      for i = 1, #body do
        length = length + #tostring(body[i])
      end
      headers["Content-Length"] = length
    elseif body == nil and EMPTY_BODY[method] then
      headers["Content-Length"] = 0
    end
  end
  if not headers.Host then
    if self.host:sub(1, 5) == "unix:" then
      return nil, "Unable to generate a useful Host header for a unix domain socket. Please provide one."
    end
    local usual = self.ssl and 443 or 80
    headers.Host = self.port and self.port ~= usual and self.host .. ":" .. self.port or self.host
  end
  headers["User-Agent"] = headers["User-Agent"] or M._USER_AGENT
  if version == 1.0 and not headers.Connection then
    headers.Connection = "Keep-Alive"
  end
  local proxy = self.proxied and self.proxy_opts.http_proxy_authorization
  if proxy and not headers["Proxy-Authorization"] then
    headers["Proxy-Authorization"] = proxy
  end

  local query = params.query or ""
  if type(query) == "table" then
    query = "?" .. ngx.encode_args(query)
  elseif query ~= "" and query:sub(1, 1) ~= "?" then
    query = "?" .. query
  end
  local target = (self.proxied or "") .. (params.path or "/") .. query
  local ending = VERSIONS[version]
  if not ending then
    return nil, "unsupported HTTP version: " .. tostring(version)
  elseif (method .. target):find("[%s%c]") then
    return nil, "invalid characters found in the request line"
  end
  local lines = { method, " ", target, ending }
  for name, values in pairs(headers) do
    for _, value in pairs(type(values) == "table" and values or { values }) do
      local line = tostring(name) .. ": " .. tostring(value)
      -- one header must not make two
      if line:find("[\r\n]") then
        return nil, "invalid characters found in a request header"
      end
      lines[#lines + 1] = line .. "\r\n"
    end
  end
  lines[#lines + 1] = "\r\n"
  return concat(lines), headers, chunked, method
end

--- Sends a request; `read_response` with the same parameters reads the answer.
function M:send_request(params)
  local head, headers, chunked, method = head_of(self, params)
  if not head then
    return nil, headers
  end
  params.method, params.headers = method, headers
  local ok, err = self.sock:send(head)
  if not ok then
    return nil, err
  end
  self.unread = true
  local body = params.body
  if body == nil or body == "" then
    return true
  end
  local function send()
    return bodies.send(self.sock, body, chunked)
  end
  if lower(tostring(headers.Expect)) == "100-continue" then
    params.send_later = send
    return true
  end
  ok, err = send()
  if not ok then
    return nil, err
  end
  return true
end

local function read_status(sock)
  local line, err = sock:receive("*l")
  if not line then
    return nil, err
  end
  local version, status, reason = line:match("^HTTP/(%d%.%d) (%d%d%d) ?(.*)$")
  if not version then
    return nil, "couldn't parse HTTP status line: " .. line:sub(1, 60)
  end
  return tonumber(status), tonumber(version), reason
end

-- The status after any that are only informational.
local function read_final_status(sock, params)
  while true do
    local status, version, reason = read_status(sock)
    if not status then
      return nil, version
    elseif status < 100 or status > 199 or status == 101 then
      return status, version, reason
    end
    local headers, err = bodies.read_headers(sock)
    if not headers then
      return nil, err
    end
    if status == 100 and params.send_later then
      local send = params.send_later
      params.send_later = nil
      local ok
      ok, err = send()
      if not ok then
        return nil, err
      end
    end
  end
end

local function read_trailers(res)
  if not res.trailer_reader then
    return nil, "no trailers"
  end
  for name, value in pairs(res.trailer_reader() or {}) do
    res.headers[name] = value
  end
end

local function read_body(res)
  if not res.body_reader then
    return nil, "no body to be read"
  end
  return bodies.read_all(res.body_reader)
end

--- Reads the head of the answer to a request that was sent.
function M:read_response(params)
  local sock = self.sock
  local status, version, reason = read_final_status(sock, params)
  if not status then
    return nil, version
  end
  local headers, err = bodies.read_headers(sock)
  if not headers then
    return nil, err
  end
  local connection = type(headers.Connection) == "string" and lower(headers.Connection) or nil
  if connection == "close" or (version == 1.0 and connection ~= "keep-alive") then
    self.keepalive = false
  end

  local res = {
    status = status, reason = reason, headers = headers, has_body = false,
    read_body = read_body, read_trailers = read_trailers,
  }
  local trailers
  local function done(read)
    self.unread, trailers = nil, read
  end
  local coding, length = headers["Transfer-Encoding"], headers["Content-Length"]
  if params.method == "HEAD" or status == 204 or status == 304 or status == 101
    or params.method == "CONNECT" and status < 300
  then
    done()
    res.body_reader = function() return nil end
  elseif type(coding) == "string" and lower(coding) == "chunked" and version == 1.1 then
    res.has_body, res.body_reader = true, bodies.chunked(sock, done)
    if headers.Trailer then
      res.trailer_reader = function() return trailers end
    end
  elseif coding == nil and length ~= nil then
    local n = type(length) == "string" and length:match("^%d+$") and tonumber(length)
    if not n then
      return nil, "invalid Content-Length"
    end
    res.has_body, res.body_reader = true, bodies.sized(sock, n, done)
    if n == 0 then
      done()
    end
  else
    self.keepalive = false
    res.has_body, res.body_reader = true, bodies.until_close(sock)
  end
  return res
end

local function copy(params)
  local out = {}
  for k, v in pairs(params or {}) do
    out[k] = v
  end
  return out
end

--- Sends a request over the connection and reads the head of the answer:
-- { status, reason, headers, has_body, body_reader, read_body, ... }.
function M:request(params)
  params = copy(params)
  local ok, err = self:send_request(params)
  if not ok then
    return nil, err
  end
  return self:read_response(params)
end

--- Connects, sends one request, reads the answer with its body, and keeps or closes the connection.
function M:request_uri(uri, params)
  params = copy(params)
  local parsed, err = self:parse_uri(uri, false)
  if not parsed then
    return nil, err
  end
  params.path, params.query = params.path or parsed[4], params.query or parsed[5]
  local authorization = (params.headers or {})["Proxy-Authorization"]
  if self.proxy_opts or params.proxy_opts then
    params.proxy_opts = copy(params.proxy_opts or self.proxy_opts)
    if authorization then
      params.proxy_opts.http_proxy_authorization = authorization
      params.proxy_opts.https_proxy_authorization = authorization
    end
  end
  local to = copy(params)
  to.scheme, to.host, to.port = parsed[1], parsed[2], parsed[3]
  to.ssl_server_name = params.ssl_server_name or parsed[2]
  if type(params.keepalive_pool) == "string" then
    to.pool = params.keepalive_pool
  end
  local ok
  ok, err = self:connect(to)
  if not ok then
    return nil, err
  end
  local res
  res, err = self:request(params)
  local body
  if res then
    body, err = res:read_body()
  end
  if not body then
    self:close()
    return nil, err
  end
  res.body = body
  if params.keepalive == false then
    ok, err = self:close()
  else
    ok, err = self:set_keepalive(params.keepalive_timeout, tonumber(params.keepalive_pool))
  end
  if not ok then
    ngx.log(ngx.ERR, err)
  end
  return res
end

return M
