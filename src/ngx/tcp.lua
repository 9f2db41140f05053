-- ngx.socket.tcp. A socket is a table; [1] is what holds its Rust half.

local ngx = ...
local ops = require("moongate.ops")
local shared = require("moongate.ngx.sockets")
local cdata = require("moongate.cdata")
local tcp, check, address = ops.ngx_tcp, ops.ngx_sockets.check, ops.ngx_sockets.address
local argerror, bytes, done, checked = shared.argerror, shared.bytes, shared.done, shared.checked
local type, error, tonumber, tostring, select, setmetatable = type, error, tonumber, tostring, select, setmetatable
local lower, sub = string.lower, string.sub

local wrap = cdata.kind("moongate_tcp_socket")
local wrap_pattern = cdata.kind("moongate_until")
local wrap_session, is_session = cdata.kind("moongate_ssl_session")

local methods = {}
local mt = { __index = methods }

local function id_of(sock)
  if type(sock) ~= "table" then
    argerror(1, "table expected, got " .. type(sock), 1)
  end
  local held = sock[1]
  return held and held.id or 0
end

local function integer(n)
  return n < 0 and -(-n - -n % 1) or n - n % 1
end

local function type_of(n, ...)
  return select("#", ...) < n and "no value" or type((select(n, ...)))
end

-- pool, size, backlog; or nil and what is wrong
local function pool_options(options)
  local size, backlog, pool = options.pool_size, options.backlog, options.pool
  if tonumber(size) then
    size = integer(tonumber(size))
    if size <= 0 then
      return nil, 'bad "pool_size" option value: ' .. size
    end
  elseif size ~= nil then
    return nil, 'bad "pool_size" option type: ' .. type(size)
  end
  if tonumber(backlog) then
    backlog = integer(tonumber(backlog))
    if backlog < 0 then
      return nil, 'bad "backlog" option value: ' .. backlog
    end
    size = size or shared.pool_size()
  else
    backlog = nil
  end
  if pool ~= nil and type(pool) ~= "string" and type(pool) ~= "number" then
    return nil, 'bad "pool" option type: ' .. type(pool)
  end
  return { pool ~= nil and tostring(pool) or nil, size, backlog }
end

local none = {}

function methods.connect(...)
  local n = select("#", ...)
  if n ~= 2 and n ~= 3 and n ~= 4 then
    error("ngx.socket connect: expecting 2, 3, or 4 arguments (including the object), but seen " .. n, 2)
  end
  check()
  local sock, host, port = ...
  checked(sock)
  if type(host) == "number" then
    host = host .. ""
  elseif type(host) ~= "string" then
    argerror(2, "string expected, got " .. type_of(2, ...))
  end
  local last, opts = select(n, ...), none
  if type(last) == "table" then
    local why
    opts, why = pool_options(last)
    if not opts then
      argerror(n, why)
    end
    n = n - 1
  end
  if n == 4 then
    n = 3
  end
  local number = n == 3 and tonumber(port)
  local is_path = lower(sub(host, 1, 5)) == "unix:"
  if number then
    port = integer(number)
    if port < 0 or port > 65535 then
      return nil, "bad port number: " .. port
    end
  elseif not is_path then
    return nil, "missing the port number"
  end
  if is_path then
    port = nil
  elseif host == "" then
    return nil, 'failed to parse host name "": no host'
  end
  if not sock[1] then
    sock[1] = wrap(tcp.new())
  end
  return done(tcp.connect(id_of(sock), host, port, sock.connect_ms, opts[1], opts[2], opts[3], sock.bound,
    cdata.id(sock.cert), cdata.id(sock.key)))
end

function methods.bind(...)
  local n = select("#", ...)
  if n ~= 2 and n ~= 3 then
    error("expecting 2 or 3 arguments, but got " .. n, 2)
  end
  check()
  local sock, ip, port = ...
  checked(sock)
  if n == 3 then
    if not tonumber(port) then
      return nil, "expecting port to be anumber but got type: " .. type(port)
    end
    port = integer(tonumber(port))
    if port < 0 or port > 65535 then
      return nil, "bad port number: " .. port
    end
  end
  if type(ip) == "number" then
    ip = ip .. ""
  elseif type(ip) ~= "string" then
    argerror(2, "string expected, got " .. type(ip))
  end
  if not address(ip) then
    return nil, "bad address"
  end
  if port and port > 0 then
    ip = (ip:find(":", 1, true) and sub(ip, 1, 1) ~= "[" and "[" .. ip .. "]" or ip) .. ":" .. port
  end
  sock.bound = ip
  return true
end

function methods.send(...)
  local n = select("#", ...)
  if n ~= 2 then
    error("expecting 2 arguments (including the object), but got " .. n, 2)
  end
  local sock, data = ...
  if type(data) ~= "string" then
    local text, why = bytes(data)
    if not text then
      local ok, err = tcp.send(id_of(sock))
      if not ok then
        return nil, err
      end
      argerror(2, why)
    end
    data = text
  end
  return done(tcp.send(id_of(sock), data, sock.send_ms))
end

function methods.receive(...)
  local n = select("#", ...)
  if n ~= 1 and n ~= 2 then
    error("expecting 1 or 2 arguments (including the object), but got " .. n, 2)
  end
  local sock, pattern = ...
  if n == 1 or pattern == "*l" then
    return done(tcp.receive(id_of(sock), "line", nil, sock.read_ms))
  elseif pattern == "*a" then
    return done(tcp.receive(id_of(sock), "all", nil, sock.read_ms))
  end
  local size, why = tonumber(pattern), nil
  if size then
    size = integer(size)
    if size > 0 then
      return done(tcp.receive(id_of(sock), "size", size, sock.read_ms))
    end
    why = size < 0 and "bad number argument" or nil
  elseif type(pattern) ~= "string" then
    why = "bad argument"
  elseif #pattern ~= 2 or sub(pattern, 1, 1) ~= "*" then
    why = "bad pattern argument: " .. pattern
  else
    why = "bad pattern argument"
  end
  local ok, err = tcp.receive(id_of(sock), "check")
  if not ok then
    return nil, err
  elseif why then
    argerror(2, why)
  end
  return ""
end

function methods.receiveany(...)
  local n = select("#", ...)
  if n ~= 2 then
    error("expecting 2 arguments (including the object), but got " .. n, 2)
  end
  local sock, max = ...
  local size = tonumber(max)
  if not (size and size >= 1) then
    local ok, err = tcp.receive(id_of(sock), "check")
    if not ok then
      return nil, err
    end
    argerror(2, "bad max argument")
  end
  return done(tcp.receive(id_of(sock), "any", integer(size), sock.read_ms))
end

function methods.receiveuntil(...)
  local n = select("#", ...)
  if n ~= 2 and n ~= 3 then
    error("expecting 2 or 3 arguments (including the object), but got " .. n, 2)
  end
  local sock, pattern, options = ...
  checked(sock)
  local inclusive
  if n == 3 then
    if type(options) ~= "table" then
      argerror(3, "table expected, got " .. type(options))
    end
    inclusive = options.inclusive
    if inclusive ~= nil and type(inclusive) ~= "boolean" then
      error('bad "inclusive" option value type: ' .. type(inclusive), 2)
    end
  end
  if type(pattern) == "number" then
    pattern = pattern .. ""
  elseif type(pattern) ~= "string" then
    argerror(2, "string expected, got " .. type(pattern))
  end
  if pattern == "" then
    return nil, "pattern is empty"
  end
  local held = wrap_pattern(tcp.pattern(pattern, inclusive))
  return function(...)
    local count = select("#", ...)
    if count > 1 then
      error("expecting 0 or 1 argument, but seen " .. count, 2)
    end
    local size = 0
    if count == 1 then
      size = tonumber((...))
      if not size then
        argerror(1, "number expected, got " .. type((...)))
      end
    end
    return done(tcp["until"](id_of(sock), held.id, integer(size), sock.read_ms))
  end
end

-- milliseconds; nil where they are none, false where they are not in range
local function time(value)
  local n = integer(tonumber(value) or 0)
  if n < 0 or n > 2147483647 then
    return false
  end
  return n > 0 and n or nil
end

function methods.settimeout(...)
  local n = select("#", ...)
  if n ~= 2 then
    error("ngx.socket settimeout: expecting 2 arguments (including the object) but seen " .. n, 2)
  end
  local sock, value = ...
  local ms = time(value)
  if ms == false then
    error("bad timeout value", 2)
  end
  sock.connect_ms, sock.send_ms, sock.read_ms = ms, ms, ms
end

function methods.settimeouts(...)
  local n = select("#", ...)
  if n ~= 4 then
    error("ngx.socket settimeouts: expecting 4 arguments (including the object) but seen " .. n, 2)
  end
  local sock, connect_ms, send_ms, read_ms = ...
  connect_ms, send_ms, read_ms = time(connect_ms), time(send_ms), time(read_ms)
  if connect_ms == false or send_ms == false or read_ms == false then
    error("bad timeout value", 2)
  end
  sock.connect_ms, sock.send_ms, sock.read_ms = connect_ms, send_ms, read_ms
end

function methods.close(...)
  local n = select("#", ...)
  if n ~= 1 then
    error("expecting 1 argument (including the object) but seen " .. n, 2)
  end
  return tcp.close(id_of((...)))
end

function methods.getreusedtimes(...)
  local n = select("#", ...)
  if n ~= 1 then
    error("expecting 1 argument (including the object), but got " .. n, 2)
  end
  return tcp.reused(id_of((...)))
end

function methods.setkeepalive(...)
  local n = select("#", ...)
  if n < 1 or n > 3 then
    error("expecting 1 to 3 arguments (including the object), but got " .. n, 2)
  end
  local sock, idle_ms, size = ...
  if idle_ms ~= nil then
    if not tonumber(idle_ms) then
      argerror(2, "number expected, got " .. type(idle_ms))
    end
    idle_ms = integer(tonumber(idle_ms))
  end
  if size ~= nil then
    if not tonumber(size) then
      argerror(3, "number expected, got " .. type(size))
    end
    size = integer(tonumber(size))
    if size <= 0 then
      local ok, err = tcp.send(id_of(sock))
      if not ok then
        return nil, err
      end
      argerror(n, 'bad "pool_size" option value: ' .. size)
    end
  end
  return tcp.keep(id_of(sock), idle_ms, size)
end

-- === TLS ===

function methods.setclientcert(sock, cert, key)
  if not cert and not key then
    sock.cert, sock.key = nil, nil
    return true
  elseif not cert or not key then
    return nil, "client certificate must be supplied with corresponding private key"
  elseif type(cert) ~= "cdata" then
    return nil, "bad cert arg: cdata expected, got " .. type(cert)
  elseif type(key) ~= "cdata" then
    return nil, "bad pkey arg: cdata expected, got " .. type(key)
  end
  sock.cert, sock.key = cert, key
  return true
end

local function created(sock)
  if not sock[1] then
    error("socket is never created nor connected", 3)
  end
end

function methods.settrustedstore(sock, store)
  if store ~= nil and type(store) ~= "cdata" then
    return nil, "bad store arg: cdata expected, got " .. type(store)
  end
  created(sock)
  local ok, err = tcp.trusts(id_of(sock))
  if not ok then
    return nil, err
  end
  sock.trust = store
  return true
end

local function held_id(value)
  -- an object of resty.openssl holds its cdata in ctx
  return value ~= nil and (cdata.id(value) or 0) or nil
end

function methods.sslhandshake(sock, session, name, verify, status, ...)
  local n = select("#", ...)
  if not sock or n > 0 then
    error("ngx.socket sslhandshake: expecting 1 ~ 5 arguments (including the object), but seen "
      .. (sock and 5 + n or 0), 0)
  end
  created(sock)
  local given = is_session(session) and session or nil
  local ok, id, again = done(tcp.handshake(id_of(sock), given and given.id, name and tostring(name), verify,
    sock.connect_ms, sock.bound, held_id(sock.cert), held_id(sock.key), held_id(sock.trust)))
  if not ok then
    return nil, id
  end
  local new = wrap_session(id)
  if session == false then
    return true
  elseif again and given then
    return session
  end
  return new
end

function methods.getsslsession(sock)
  created(sock)
  local id, err = tcp.session(id_of(sock))
  if not id then
    return nil, err
  end
  return wrap_session(id)
end

-- === options ===

local OPTIONS = {
  keepalive = true, reuseaddr = true, ["tcp-nodelay"] = true, sndbuf = true, rcvbuf = true, keepintvl = true,
  keepcnt = true,
}

function methods.getoption(sock, option)
  created(sock)
  if option == nil then
    return nil, 'missing the "option" argument'
  elseif not OPTIONS[option] then
    return nil, "unsupported option " .. tostring(option)
  end
  return tcp.option(id_of(sock), option)
end

function methods.setoption(sock, option, value)
  if option == nil then
    return nil, 'missing the "option" argument'
  elseif value == nil then
    return nil, 'missing the "value" argument'
  elseif option == "ip-transparent" then
    error("not supported: tcpsock:setoption ip-transparent", 2)
  end
  created(sock)
  if not OPTIONS[option] then
    return nil, "unsupported option " .. tostring(option)
  end
  if type(value) == "boolean" then
    value = value and 1 or 0
  elseif type(value) ~= "number" then
    error("bad argument #3 to 'ngx_lua_ffi_socket_tcp_setoption' (cannot convert '" .. type(value)
      .. "' to 'int')", 2)
  end
  return tcp.option(id_of(sock), option, value)
end

function methods.getfd(sock)
  if not sock then
    error("ngx.socket getfd: expecting the cosocket object, but seen none", 0)
  end
  created(sock)
  return tcp.fd(id_of(sock))
end

for _, name in ipairs({ "getsslpointer", "getsslctx" }) do
  methods[name] = function()
    error("not supported: tcpsock:" .. name, 2)
  end
end

-- === sockets ===

-- for ngx.req.socket
shared.tcp, shared.wrap_tcp = methods, wrap

ngx.socket = {}

function ngx.socket.tcp(...)
  if select("#", ...) ~= 0 then
    error("expecting zero arguments, but got " .. select("#", ...), 2)
  end
  check()
  return setmetatable({}, mt)
end

ngx.socket.stream = ngx.socket.tcp

function ngx.socket.connect(...)
  local sock = ngx.socket.tcp()
  local ok, err = sock:connect(...)
  if ok then
    return sock
  end
  return nil, err
end
