-- `socket.http` and `ssl.https`: requests as LuaSocket's and LuaSec's make them, over lua-resty-http.

local socket, ltn12, url = require("socket"), require("ltn12"), require("socket.url")
local resty = require("resty.http")

local PORTS = { http = 80, https = 443 }
local FOR_EVER = 2147483647
local REDIRECTS = { [301] = true, [302] = true, [303] = true, [307] = true }

local TIMEOUT = 60

local http = { TIMEOUT = TIMEOUT, USERAGENT = socket._VERSION }
local https = { TIMEOUT = TIMEOUT, PORT = 443, _VERSION = "1.3.2" }

-- All of a request's body: with a length it can be sent in one piece.
local function body_of(source, step)
  if not source then
    return nil
  end
  local sink, pieces = ltn12.sink.table()
  socket.try(ltn12.pump.all(source, sink, step))
  return table.concat(pieces)
end

local function absent(name)
  error("not supported: " .. name, 0)
end

local function verified(parts)
  return parts.scheme == "https" and (parts.verify == "peer" or type(parts.verify) == "table")
end

local TLS = { "verify", "cafile", "capath", "verifyext", "certificate", "certificates", "key", "psk", "dane" }

-- What would change who is trusted, or who one is, is refused: to pass over it would be a request to somebody else.
local function check_tls(parts)
  if parts.scheme ~= "https" then
    return
  end
  for _, name in ipairs(TLS) do
    local trust = name == "cafile" or name == "capath" or name == "verifyext"
    if parts[name] ~= nil and name ~= "verify" and (not trust or verified(parts)) then
      absent("ssl.https " .. name)
    end
  end
end

-- The socket that the request's own function makes: one of socket.tcp, as that made it.
local function made_by(create)
  local made = socket.try(create())
  local mt = type(made) == "table" and getmetatable(made)
  if type(mt) ~= "table" or mt.__name ~= "tcp{client}" then
    absent("socket.http create: another socket than socket.tcp's")
  end
  for name, value in pairs(made) do
    if type(value) == "function" then
      absent("socket.http create: a socket with its own " .. tostring(name))
    end
  end
  return made
end

-- A client with its timeout: that of the socket where the request made it and it has one, or else the module's.
local function client_of(parts, timeout)
  local client = assert(resty.new())
  local made = parts.create and made_by(parts.create)
  if made then
    client.sock = made.sock
  end
  if not (made and made.timeout) then
    client:set_timeout(timeout >= 0 and math.max(1, math.floor(timeout * 1000)) or FOR_EVER)
  end
  return client, made and made.options or {}
end

local function parts_of(req)
  local parts = req.url and url.parse(req.url, { path = "/", scheme = "http" }) or {}
  for k, v in pairs(req) do
    parts[k] = v
  end
  parts.scheme = parts.scheme or "http"
  if not PORTS[parts.scheme] then
    socket.try(nil, "unknown scheme '" .. tostring(parts.scheme) .. "'")
  end
  if not parts.host or parts.host == "" then
    socket.try(nil, "invalid host '" .. tostring(parts.host) .. "'")
  end
  parts.port = tonumber(parts.port) or PORTS[parts.scheme]
  check_tls(parts)
  parts.proxy = parts.proxy or http.PROXY
  parts.method = parts.method and parts.method ~= "" and parts.method or "GET"
  return parts
end

local function headers_of(parts, body)
  local headers = { ["user-agent"] = parts.useragent, connection = "close, TE", te = "trailers" }
  local host = parts.host
  if parts.port ~= PORTS[parts.scheme] then
    host = host .. ":" .. parts.port
  end
  headers.host = host
  if parts.user and parts.password then
    headers.authorization = "Basic " .. ngx.encode_base64(parts.user .. ":" .. url.unescape(parts.password))
  end
  for k, v in pairs(parts.headers or {}) do
    headers[k:lower()] = v
  end
  if body then
    headers["transfer-encoding"] = nil
    headers["content-length"] = headers["content-length"] or #body
  end
  return headers
end

-- One line for each name, in small letters.
local function received(headers)
  local out = {}
  for name, value in pairs(headers) do
    name = name:lower()
    value = type(value) == "table" and table.concat(value, ", ") or value
    out[name] = out[name] and (out[name] .. ", " .. value) or value
  end
  return out
end

local function send(parts, timeout)
  local client, options = client_of(parts, timeout)
  local ok, why = client:connect {
    scheme = parts.scheme, host = parts.host, port = parts.port, proxy_opts = parts.proxy and {
      http_proxy = parts.proxy, https_proxy = parts.proxy,
    } or nil,
    ssl_verify = verified(parts), ssl_server_name = parts.host,
  }
  socket.try(ok, why and why:find("DNS", 1, true) and "host or service not provided, or not known" or why)
  for option, value in pairs(options) do
    client.sock:setoption(option, value)
  end
  local body = body_of(parts.source, parts.step)
  local path = parts.uri or url.build { path = parts.path, params = parts.params, query = parts.query }
  local res, err = client:request {
    method = parts.method, path = path ~= "" and path or "/", headers = headers_of(parts, body),
    body = body,
  }
  if not res then
    client:close()
    socket.try(nil, err)
  end
  return client, res
end

local function deliver(res, sink, step)
  local read = res.body_reader
  local function source()
    if read then
      return read(8192)
    end
  end
  return ltn12.pump.all(source, sink or ltn12.sink.null(), step)
end

local function status_line(res)
  return ("HTTP/1.1 %d %s"):format(res.status, res.reason or "")
end

local function follows(parts, code, headers, hops)
  local location = headers.location and headers.location:gsub("%s", "")
  if not location or location == "" or not REDIRECTS[code] or parts.redirect == false or parts.source then
    return nil
  end
  if parts.method ~= "GET" and parts.method ~= "HEAD" then
    return nil
  end
  if parts.maxredirects ~= false and hops >= (parts.maxredirects or 5) then
    return nil
  end
  location = url.absolute(parts.url or url.build(parts), location)
  local scheme = url.parse(location).scheme
  if not PORTS[scheme] or (parts.scheme == "https" and scheme ~= "https") then
    return nil
  end
  return location
end

local function perform(req, face, hops)
  local parts = parts_of(req)
  parts.useragent = face.USERAGENT or http.USERAGENT
  local client, res = send(parts, tonumber(face.TIMEOUT) or TIMEOUT)
  local headers = received(res.headers)
  local location = follows(parts, res.status, headers, hops)
  if location then
    client:close()
    local again = {
      url = location, sink = req.sink, step = req.step, headers = req.headers, proxy = req.proxy,
      maxredirects = req.maxredirects, method = req.method, create = req.create,
    }
    -- a redirect leads to https too, and is verified as the request says
    for _, name in ipairs(TLS) do
      again[name] = req[name]
    end
    local ok, code, got, status = perform(again, face, hops + 1)
    got = got or {}
    got.location = got.location or location
    return ok, code, got, status
  end
  local ok, err = deliver(res, req.sink, req.step)
  client:close()
  socket.try(ok, err)
  return 1, res.status, headers, status_line(res)
end

-- A request of a URL, and of a body if there is one: it is a POST of a form then.
local function of_url(address, body)
  local sink, pieces = ltn12.sink.table()
  local req = { url = address, sink = sink }
  if body then
    req.method, req.source = "POST", ltn12.source.string(body)
    req.headers = { ["content-length"] = #body, ["content-type"] = "application/x-www-form-urlencoded" }
  end
  return req, pieces
end

--- The body (or 1 with a table that has a sink), the status, the headers, the status line; or nil and an error.
http.request = socket.protect(function(req, body)
  if type(req) == "table" then
    return perform(req, http, 0)
  end
  local of, pieces = of_url(req, body)
  local _, code, headers, status = perform(of, http, 0)
  return table.concat(pieces), code, headers, status
end)

local secure = socket.protect(function(req, pieces)
  local ok, code, headers, status = perform(req, https, 0)
  if pieces then
    return table.concat(pieces), code, headers, status
  end
  return ok, code, headers, status
end)

--- As `socket.http`'s, over TLS; the server is verified only with `verify = "peer"`, as in LuaSec.
function https.request(req, body)
  local pieces
  if type(req) == "table" then
    local copy = {}
    for k, v in pairs(req) do
      copy[k] = v
    end
    req = copy
  else
    req, pieces = of_url(req, body)
    req.redirect = false
  end
  if http.PROXY or req.proxy then
    return nil, "proxy not supported"
  elseif req.redirect then
    return nil, "redirect not supported"
  elseif req.create then
    return nil, "create function not permitted"
  end
  req.redirect = false
  if req.url and url.parse(req.url, { scheme = "https" }).scheme == "http" then
    return nil, "unknown scheme 'http'"
  end
  req.scheme = "https"
  return secure(req, pieces)
end

for _, name in ipairs { "open", "genericform" } do
  http[name] = function()
    error("not supported: socket.http." .. name, 2)
  end
end

function https.tcp()
  error("not supported: ssl.https.tcp", 2)
end

socket.http = http

return { ["socket.http"] = http, ["ssl.https"] = https }
