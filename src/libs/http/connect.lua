-- How `resty.http` connects: directly, to a path, or through a proxy; with TLS or without. The pool's name says all
-- that makes two connections different, so that one is taken up by its equals only.

local type, tostring, concat = type, tostring, table.concat

local M = {}

-- What TLS is asked for; nil without TLS, false and why where it is asked for wrongly.
local function tls_of(options)
  if options.scheme ~= "https" then
    return nil
  end
  local cert, key = options.ssl_client_cert, options.ssl_client_priv_key
  if cert and key then
    if type(cert) ~= "cdata" then
      return false, "bad ssl_client_cert: cdata expected, got " .. type(cert)
    elseif type(key) ~= "cdata" then
      return false, "bad ssl_client_priv_key: cdata expected, got " .. type(key)
    end
  end
  return {
    session = options.ssl_reused_session,
    name = options.ssl_server_name,
    verify = options.ssl_verify ~= false,
    status = options.ssl_send_status_req,
    cert = cert and key and cert or nil,
    key = cert and key or nil,
  }
end

-- Asks a proxy for a way to the target.
local function tunnel(self, target, authorization)
  local res, err = self:request {
    method = "CONNECT", path = target, headers = { Host = target, ["Proxy-Authorization"] = authorization },
  }
  if not res then
    return nil, "failed to issue CONNECT to proxy: " .. err
  elseif res.status < 200 or res.status > 299 then
    return nil, "failed to establish a tunnel through a proxy: " .. res.status
  end
  -- what follows is the target's, not a body
  self.unread, self.keepalive = nil, true
  return true
end

local function authority(host, port)
  return host .. ":" .. port
end

-- Opens the socket: true, or nil and why not.
local function open(self, place, tls)
  local sock, options = self.sock, place.options
  local ok, err
  if place.proxy then
    ok, err = sock:connect(place.proxy[2], place.proxy[3], options)
    if not ok then
      return nil, "failed to connect to: " .. authority(place.proxy[2], place.proxy[3]) .. ": " .. err
    end
    if tls and sock:getreusedtimes() == 0 then
      return tunnel(self, authority(place.host, place.port), place.authorization)
    end
  elseif place.port then
    ok, err = sock:connect(place.host, place.port, options)
  else
    ok, err = sock:connect(place.host, options)
  end
  if not ok then
    return nil, err
  end
  return true
end

local function pool_name(options, port, proxy, authorization)
  return concat({
    options.scheme or "", options.host, tostring(port), tostring(options.scheme == "https"),
    options.ssl_server_name or "", tostring(options.ssl_verify ~= false), proxy or "",
    options.scheme == "https" and authorization or "",
  }, ":")
end

--- Connects a client as the options say: true, nil, session; or nil and why not.
function M.by_options(self, options)
  local scheme, host, port = options.scheme, options.host, options.port
  if scheme and scheme ~= "http" and scheme ~= "https" then
    return nil, "unsupported scheme: " .. tostring(scheme)
  elseif scheme and not port then
    port = scheme == "https" and 443 or 80
  elseif port and not scheme then
    return nil, "'scheme' is required when providing a port"
  end
  local tls, why = tls_of(options)
  if tls == false then
    return nil, why
  end
  if options.proxy_opts then
    self:set_proxy_options(options.proxy_opts)
  end
  local proxy_uri, authorization, proxy = scheme and self:get_proxy_uri(scheme, host), nil, nil
  if proxy_uri then
    authorization = self.proxy_opts[scheme .. "_proxy_authorization"]
    proxy, why = self:parse_uri(proxy_uri, false)
    if not proxy then
      return nil, "uri parse error: " .. why
    elseif proxy[1] ~= "http" then
      return nil, "protocol " .. proxy[1] .. " not supported for proxy connections"
    end
  end

  local sock = self.sock
  local cert = tls and tls.cert
  if cert or self.shown then
    sock:setclientcert(cert, tls and tls.key)
    self.shown = cert
  end
  self.host, self.port, self.ssl, self.proxied = host, port, tls ~= nil, nil
  local ok, err = open(self, {
    host = host, port = port, proxy = proxy, authorization = authorization,
    options = {
      pool = options.pool or pool_name(options, port, proxy_uri, authorization), pool_size = options.pool_size,
      backlog = options.backlog,
    },
  }, tls)
  if not ok then
    return nil, err
  end
  local session
  if tls and sock:getreusedtimes() == 0 then
    session, err = sock:sslhandshake(tls.session, tls.name, tls.verify, tls.status)
    if not session then
      self:close()
      return nil, err
    end
  end
  if proxy and not tls then
    self.proxied = "http://" .. host .. (port == 80 and "" or ":" .. port)
  end
  return true, nil, session
end

return M
