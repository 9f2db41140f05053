-- What of `resty.http` is used less: several requests at once, and handing a client's request on.

local bodies = require "moongate.libs.http_body"

local type, tonumber, lower = type, tonumber, string.lower
local ipairs, pairs, pcall, rawget, setmetatable = ipairs, pairs, pcall, rawget, setmetatable

local HOP_BY_HOP = {
  connection = true, ["keep-alive"] = true, ["proxy-authenticate"] = true, ["proxy-authorization"] = true,
  te = true, trailers = true, ["transfer-encoding"] = true, upgrade = true, ["content-length"] = true,
}

local function nothing()
end

--- Adds the functions to the client.
return function(M)
  --- Sends all requests; each answer is read when it is looked at, in their order.
  function M:request_pipeline(requests)
    local sent = {}
    for i, params in ipairs(requests) do
      local copy = {}
      for k, v in pairs(params) do
        copy[k] = v
      end
      if copy.headers and copy.headers.Expect == "100-continue" then
        return nil, "Cannot pipeline request specifying Expect: 100-continue"
      end
      local ok, err = self:send_request(copy)
      if not ok then
        return nil, err
      end
      sent[i] = copy
    end
    local responses = {}
    for i, params in ipairs(sent) do
      local read = false
      responses[i] = setmetatable({ params = params }, { __index = function(t, k)
        if not read then
          read = true
          local res, err = self:read_response(params)
          if not res then
            ngx.log(ngx.ERR, err)
          end
          for name, value in pairs(res or {}) do
            t[name] = value
          end
        end
        return rawget(t, k)
      end })
    end
    return responses
  end

  --- A reader of the client's body, or nil where it has none.
  function M.get_client_body_reader(_, chunk_size, sock, headers)
    chunk_size = chunk_size or 65536
    if not sock then
      local ok, err
      ok, sock, err = pcall(ngx.req.socket)
      if not ok then
        return nil, sock
      elseif not sock then
        if err == "no body" then
          return nil
        end
        return nil, err
      end
    end
    headers = headers or ngx.req.get_headers()
    local length, coding = tonumber(headers["Content-Length"]), headers["Transfer-Encoding"]
    local reader
    if length then
      reader = bodies.sized(sock, length, nothing)
    elseif type(coding) == "string" and lower(coding) == "chunked" then
      reader = bodies.chunked(sock, nothing)
    else
      return nil
    end
    return function(max)
      return reader(max or chunk_size)
    end
  end

  --- Sends the client's request on.
  function M:proxy_request(chunk_size)
    local var = ngx.var
    return self:request {
      method = ngx.req.get_method(),
      path = var.uri:gsub("%s", "%%20") .. var.is_args .. (var.query_string or ""),
      body = self:get_client_body_reader(chunk_size),
      headers = ngx.req.get_headers(),
    }
  end

  --- Answers the client with a response.
  function M.proxy_response(_, response, chunk_size)
    if not response then
      ngx.log(ngx.ERR, "no response provided")
      return
    end
    ngx.status = response.status
    for name, value in pairs(response.headers) do
      if not HOP_BY_HOP[lower(name)] then
        ngx.header[name] = value
      end
    end
    repeat
      local chunk, err = response.body_reader(chunk_size)
      if err then
        ngx.log(ngx.ERR, err)
        break
      end
      if chunk then
        local ok
        ok, err = ngx.print(chunk)
        if not ok then
          ngx.log(ngx.ERR, err)
          break
        end
      end
    until not chunk
  end

  --- TLS on a connection that was made without.
  function M:ssl_handshake(...)
    self.ssl = true
    return self.sock:sslhandshake(...)
  end

  --- Connects to a proxy, and for https through it.
  function M:connect_proxy(proxy_uri, scheme, host, port, authorization)
    local proxy, err = self:parse_uri(proxy_uri, false)
    if not proxy then
      return nil, err
    elseif proxy[1] ~= "http" then
      return nil, "protocol " .. proxy[1] .. " not supported for proxy connections"
    end
    local ok
    ok, err = self:connect(proxy[2], proxy[3])
    if not ok then
      return nil, err
    end
    if scheme == "https" then
      local target = host .. ":" .. port
      local res
      res, err = self:request {
        method = "CONNECT", path = target, headers = { Host = target, ["Proxy-Authorization"] = authorization },
      }
      if not res then
        return nil, err
      elseif res.status < 200 or res.status > 299 then
        return nil, "failed to establish a tunnel through a proxy: " .. res.status
      end
      self.unread, self.keepalive = nil, true
    end
    return ok
  end
end
