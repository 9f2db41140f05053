-- ngx.socket.udp. A socket is a table; [1] is what holds its Rust half.

local ngx = ...
local ops = require("moongate.ops")
local shared = require("moongate.ngx.sockets")
local cdata = require("moongate.cdata")
local udp, check, address = ops.ngx_udp, ops.ngx_sockets.check, ops.ngx_sockets.address
local argerror, bytes, done, checked = shared.argerror, shared.bytes, shared.done, shared.checked
local type, error, tonumber, select, setmetatable = type, error, tonumber, select, setmetatable
local lower, sub = string.lower, string.sub

local wrap = cdata.kind("moongate_udp_socket")

local methods = {}
local mt = { __index = methods }

local function id_of(sock)
  if type(sock) ~= "table" then
    argerror(1, "table expected, got " .. type(sock), 1)
  end
  local held = sock[1]
  return held and held.id or 0
end

local function type_of(n, ...)
  return select("#", ...) < n and "no value" or type((select(n, ...)))
end

function methods.setpeername(...)
  local n = select("#", ...)
  if n ~= 2 and n ~= 3 then
    error("ngx.socket.udp setpeername: expecting 2 or 3 arguments (including the object), but seen " .. n, 2)
  end
  check()
  local sock, host, port = ...
  checked(sock)
  if type(host) == "number" then
    host = host .. ""
  elseif type(host) ~= "string" then
    argerror(2, "string expected, got " .. type_of(2, ...))
  end
  if n == 3 then
    local number = tonumber(port)
    if not number then
      argerror(3, "number expected, got " .. type(port))
    end
    port = number - number % 1
    if port < 0 or port > 65535 then
      return nil, "bad port number: " .. port
    end
  end
  if lower(sub(host, 1, 5)) == "unix:" then
    port = nil
  else
    if host == "" then
      return nil, 'failed to parse host name "": no host'
    end
    port = port or 0
  end
  if not sock[1] then
    sock[1] = wrap(udp.new())
  end
  return done(udp.setpeername(id_of(sock), host, port, sock.bound))
end

function methods.bind(...)
  local n = select("#", ...)
  if n ~= 2 then
    error("expecting 2 arguments, but got " .. n, 2)
  end
  check()
  local sock, ip = ...
  checked(sock)
  if type(ip) ~= "string" and type(ip) ~= "number" then
    argerror(2, "string expected, got " .. type(ip))
  end
  ip = ip .. ""
  if not address(ip) then
    return nil, "bad address"
  end
  sock.bound = ip
  return 1
end

function methods.send(...)
  local n = select("#", ...)
  if n ~= 2 then
    error("expecting 2 arguments (including the object), but got " .. n, 2)
  end
  local sock, data = ...
  local text, why = bytes(data)
  if not text then
    local ok, err = udp.send(id_of(sock))
    if not ok then
      return nil, err
    end
    argerror(2, why)
  end
  return udp.send(id_of(sock), text)
end

function methods.receive(...)
  local n = select("#", ...)
  if n ~= 1 and n ~= 2 then
    error("expecting 1 or 2 arguments (including the object), but got " .. n, 2)
  end
  local sock, size = ...
  if size ~= nil then
    local number = tonumber(size)
    if not number then
      local ok, err = udp.send(id_of(sock))
      if not ok then
        return nil, err
      end
      argerror(2, "number expected, got " .. type(size))
    end
    size = number
  end
  return done(udp.receive(id_of(sock), size, sock.read_ms))
end

function methods.settimeout(...)
  local n = select("#", ...)
  if n ~= 2 then
    error("ngx.socket settimeout: expecting at least 2 arguments (including the object) but seen " .. n, 2)
  end
  local sock, ms = ...
  sock.read_ms = tonumber(ms)
end

function methods.close(...)
  local n = select("#", ...)
  if n ~= 1 then
    error("expecting 1 argument (including the object) but seen " .. n, 2)
  end
  return udp.close(id_of((...)))
end

function ngx.socket.udp(...)
  if select("#", ...) ~= 0 then
    error("expecting zero arguments, but got " .. select("#", ...), 2)
  end
  check()
  return setmetatable({}, mt)
end
