-- `resty.redis`: a client of Redis over cosockets (RESP 2). Commands are methods: `red:incr(key)`.

local null = ngx.null
local byte, sub, concat, type, tostring, select = string.byte, string.sub, table.concat, type, tostring, select

local M = { _VERSION = "0.31" }
local mt = {}

--- A client that is not connected; nil and an error.
function M.new()
  local sock, err = ngx.socket.tcp()
  if not sock then
    return nil, err
  end
  return setmetatable({ _sock = sock, _subscribed = false }, mt)
end

local function socket(self)
  local sock = self._sock
  if not sock then
    return nil, "not initialized"
  end
  return sock
end

function M.set_timeout(self, ms)
  local sock, err = socket(self)
  if not sock then
    error(err, 2)
  end
  sock:settimeout(ms)
end

function M.set_timeouts(self, connect, send, read)
  local sock, err = socket(self)
  if not sock then
    error(err, 2)
  end
  sock:settimeouts(connect, send, read)
end

--- Connects to `host, port[, opts]` or `"unix:path"[, opts]`; opts: pool, pool_size, backlog, ssl, ssl_verify,
--- server_name.
function M.connect(self, host, port, opts)
  local sock, err = socket(self)
  if not sock then
    return nil, err
  end
  local unix = type(host) == "string" and sub(host, 1, 5) == "unix:"
  if unix then
    opts = port
  end
  self._subscribed = false
  local ok
  if unix then
    ok, err = sock:connect(host, opts)
  else
    ok, err = sock:connect(host, port, opts)
  end
  if not ok then
    return nil, err
  end
  if type(opts) == "table" and opts.ssl then
    ok, err = sock:sslhandshake(false, opts.server_name, opts.ssl_verify)
    if not ok then
      return nil, "failed to do ssl handshake: " .. tostring(err)
    end
  end
  return ok, err
end

function M.get_reused_times(self)
  local sock, err = socket(self)
  if not sock then
    return nil, err
  end
  return sock:getreusedtimes()
end

--- Gives the connection to the pool: one with subscriptions cannot go there.
function M.set_keepalive(self, ...)
  local sock, err = socket(self)
  if not sock then
    return nil, err
  elseif self._subscribed then
    return nil, "subscribed state"
  end
  return sock:setkeepalive(...)
end

function M.close(self)
  local sock, err = socket(self)
  if not sock then
    return nil, err
  end
  return sock:close()
end

-- === replies ===

local read

local function read_list(sock, n)
  local list = {}
  for i = 1, n do
    local value, err = read(sock)
    if value == nil then
      return nil, err
    end
    -- an error within a list is a pair of false and the text
    list[i] = value == false and { false, err } or value
  end
  return list
end

-- A value; false and a text for an error reply; nil and an error when the connection breaks.
function read(sock)
  local line, err = sock:receive()
  if not line then
    if err == "timeout" then
      sock:close()
    end
    return nil, err
  end
  local kind, rest = byte(line), sub(line, 2)
  if kind == 36 then -- $
    local n = tonumber(rest)
    if n < 0 then
      return null
    end
    local data
    data, err = sock:receive(n + 2)
    if not data then
      if err == "timeout" then
        sock:close()
      end
      return nil, err
    end
    return sub(data, 1, -3)
  elseif kind == 43 then -- +
    return rest
  elseif kind == 42 then -- *
    local n = tonumber(rest)
    if n < 0 then
      return null
    end
    return read_list(sock, n)
  elseif kind == 58 then -- :
    return tonumber(rest)
  elseif kind == 45 then -- -
    return false, rest
  end
  return nil, 'unknown prefix: "' .. tostring(line) .. '"'
end

-- === requests ===

local function encode(command, ...)
  local n = select("#", ...)
  local out = { "*", n + 1, "\r\n$", #command, "\r\n", command, "\r\n" }
  for i = 1, n do
    local arg = select(i, ...)
    arg = type(arg) == "string" and arg or tostring(arg)
    local at = #out
    out[at + 1], out[at + 2], out[at + 3], out[at + 4], out[at + 5] = "$", #arg, "\r\n", arg, "\r\n"
  end
  return concat(out)
end

local SUBSCRIBES = {
  subscribe = true, psubscribe = true, unsubscribe = "out", punsubscribe = "out",
}

local function command(self, name, ...)
  local sock, err = socket(self)
  if not sock then
    return nil, err
  end
  local change = SUBSCRIBES[name]
  if self._subscribed and not change then
    return nil, "subscribed state"
  end
  local request = encode(name, ...)
  local pipeline = self._pipeline
  if pipeline then
    pipeline[#pipeline + 1] = request
    return
  end
  local sent
  sent, err = sock:send(request)
  if not sent then
    return nil, err
  end
  local reply
  reply, err = read(sock)
  if change == true and reply then
    self._subscribed = true
  elseif change == "out" and type(reply) == "table" and reply[3] == 0 then
    self._subscribed = false
  end
  return reply, err
end

--- A message of a channel subscribed to.
function M.read_reply(self)
  local sock, err = socket(self)
  if not sock then
    return nil, err
  elseif not self._subscribed then
    return nil, "not subscribed"
  end
  return read(sock)
end

--- Commands from here on are kept until `commit_pipeline`.
function M.init_pipeline(self)
  self._pipeline = {}
end

function M.cancel_pipeline(self)
  self._pipeline = nil
end

--- Sends what was kept: the list of replies, an error among them as a pair of false and the text.
function M.commit_pipeline(self)
  local requests = self._pipeline
  if not requests then
    return nil, "no pipeline"
  end
  self._pipeline = nil
  local sock, err = socket(self)
  if not sock then
    return nil, err
  end
  local sent
  sent, err = sock:send(concat(requests))
  if not sent then
    return nil, err
  end
  return read_list(sock, #requests)
end

--- A list of names and values as a table.
function M.array_to_hash(_, list)
  local out = {}
  for i = 1, #list, 2 do
    out[list[i]] = list[i + 1]
  end
  return out
end

--- `hmset(key, table)` or `hmset(key, name, value, ...)`.
function M.hmset(self, key, ...)
  local first = ...
  if select("#", ...) == 1 and type(first) == "table" then
    local args = {}
    for name, value in pairs(first) do
      args[#args + 1] = name
      args[#args + 1] = value
    end
    return command(self, "hmset", key, unpack(args))
  end
  return command(self, "hmset", key, ...)
end

--- Names are commands anyway.
function M.add_commands()
end

--- Lets `red:prefix()` be followed by a module's command: `red:bf():add(...)`.
function M.register_module_prefix(prefix)
  M[prefix] = function(self)
    return setmetatable({}, {
      __index = function(_, name)
        return function(_, ...)
          return command(self, prefix .. "." .. name, ...)
        end
      end,
    })
  end
end

mt.__index = function(_, name)
  local method = M[name]
  if method == nil and type(name) == "string" and sub(name, 1, 1) ~= "_" then
    method = function(self, ...)
      return command(self, name, ...)
    end
    M[name] = method
  end
  return method
end

return M
