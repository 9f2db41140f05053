-- ngx.socket.tcp. A socket is a table; its connection has a number in the Rust half.

local ngx = ...
local ops = require("moongate.ops")
local tcp, take = ops.ngx_tcp, ops.vm.take
local type, error, tonumber, tostring, select, setmetatable, pairs = type, error, tonumber, tostring, select,
  setmetatable, pairs
local concat = table.concat

local function done(...)
  if select("#", ...) == 0 then
    return take()
  end
  return ...
end

-- sockets that a long-running handler dropped without closing are found by their absence here
local objects = setmetatable({}, { __mode = "v" })
local open, opened = {}, 0

local function remember(sock, id)
  sock.id = id
  objects[id] = sock
  open[id] = true
  opened = opened + 1
  if opened % 64 == 0 then
    for old in pairs(open) do
      if objects[old] == nil then
        tcp.close(old)
        open[old] = nil
      end
    end
  end
end

local function fail(n, name, why)
  error("bad argument #" .. n .. " to '" .. name .. "' (" .. why .. ")", 3)
end

local methods = {}
local mt = { __index = methods }

local function pool_of(sock, options)
  if options == nil then
    return nil
  elseif type(options) ~= "table" then
    fail(3, "connect", "table expected, got " .. type(options))
  end
  if options.pool ~= nil then
    if type(options.pool) ~= "string" and type(options.pool) ~= "number" then
      fail(3, "connect", 'bad "pool" option type: ' .. type(options.pool))
    end
    return tostring(options.pool)
  end
end

function methods.connect(sock, host, port, options)
  if type(host) ~= "string" then
    fail(1, "connect", "string expected, got " .. (host == nil and "no value" or type(host)))
  end
  if host:sub(1, 5) == "unix:" then
    if type(port) == "table" then
      options = port
    end
    port = nil
  else
    local n = tonumber(port)
    if not n then
      fail(2, "connect", "number expected, got " .. (port == nil and "no value" or type(port)))
    elseif n < 0 or n > 65535 then
      return nil, "bad port number: " .. n
    end
    port = n
  end
  if sock.id then
    open[sock.id] = nil
  end
  local id, err = done(tcp.connect(sock.id or 0, host, port, sock.connect_ms, pool_of(sock, options)))
  if not id then
    sock.id = nil
    return nil, err
  end
  remember(sock, id)
  return 1
end

local function flatten(parts, value, name)
  local kind = type(value)
  if kind == "table" then
    for i = 1, #value do
      flatten(parts, value[i], name)
    end
  elseif kind == "string" or kind == "number" or kind == "boolean" or kind == "nil" then
    parts[#parts + 1] = tostring(value)
  else
    error("bad argument #1 to '" .. name
      .. "' (string, number, boolean, nil, or array table expected, got " .. kind .. ")", 0)
  end
end

function methods.send(sock, data)
  if type(data) ~= "string" then
    local parts = {}
    flatten(parts, data, "send")
    data = concat(parts)
  end
  return done(tcp.send(sock.id or 0, data, sock.send_ms))
end

local function receive(sock, kind, argument, inclusive)
  return done(tcp.receive(sock.id or 0, kind, argument, sock.read_ms, inclusive))
end

function methods.receive(sock, pattern)
  if pattern == nil or pattern == "*l" or pattern == "l" then
    return receive(sock, "line")
  elseif pattern == "*a" or pattern == "a" then
    return receive(sock, "all")
  end
  local n = tonumber(pattern)
  if not n then
    fail(1, "receive", "bad pattern argument")
  elseif n < 0 then
    fail(1, "receive", "bad number argument")
  elseif n == 0 then
    return ""
  end
  return receive(sock, "size", n)
end

function methods.receiveany(sock, max)
  local n = tonumber(max)
  if not n then
    fail(1, "receiveany", "bad max argument")
  elseif n < 1 then
    fail(1, "receiveany", "bad max argument")
  end
  return receive(sock, "any", n)
end

function methods.receiveuntil(sock, mark, options)
  mark = tostring(mark)
  if mark == "" then
    return nil, "pattern is empty"
  end
  local inclusive = options and options.inclusive
  if inclusive ~= nil and type(inclusive) ~= "boolean" then
    error('bad "inclusive" option value type: ' .. type(inclusive), 2)
  end
  return function(size)
    if size ~= nil then
      error("not supported: receiveuntil's iterator with a size", 2)
    end
    return receive(sock, "until", mark, inclusive)
  end
end

local function timeout(value)
  local n = tonumber(value) or 0
  if n < 0 or n > 2147483647 then
    error("bad timeout value", 3)
  end
  return n > 0 and n or nil
end

function methods.settimeout(sock, ms)
  local n = timeout(ms)
  sock.connect_ms, sock.send_ms, sock.read_ms = n, n, n
end

function methods.settimeouts(sock, connect_ms, send_ms, read_ms)
  sock.connect_ms, sock.send_ms, sock.read_ms = timeout(connect_ms), timeout(send_ms), timeout(read_ms)
end

function methods.close(sock)
  local id = sock.id
  if not id then
    return nil, "closed"
  end
  sock.id = nil
  open[id] = nil
  return tcp.close(id)
end

function methods.getreusedtimes(sock)
  return tcp.reused(sock.id or 0)
end

function methods.setkeepalive(sock, idle_ms, size)
  local id = sock.id
  if not id then
    return nil, "closed"
  end
  sock.id = nil
  open[id] = nil
  return tcp.keep(id, tonumber(idle_ms), tonumber(size))
end

for _, name in ipairs({ "sslhandshake", "setoption", "getoption", "bind", "setclientcert", "getfd" }) do
  methods[name] = function()
    error("not supported: tcpsock:" .. name, 2)
  end
end

ngx.socket = {}

function ngx.socket.tcp()
  tcp.check()
  return setmetatable({}, mt)
end

ngx.socket.stream = ngx.socket.tcp

function ngx.socket.connect(host, port, options)
  local sock = ngx.socket.tcp()
  local ok, err = sock:connect(host, port, options)
  if not ok then
    return nil, err
  end
  return sock
end

function ngx.socket.udp()
  error("not supported: ngx.socket.udp", 2)
end
