-- `socket`: LuaSocket's names on cosockets, so that waiting costs no thread. As on Kong `gettime` is there in every
-- phase; connections want one where cosockets are.

local ffi = require("ffi")

pcall(ffi.cdef, [[
  typedef struct { long sec; long nsec; } moongate_timespec;
  int moongate_clock_gettime(int clock, moongate_timespec *into) __asm__("clock_gettime");
]])

local CLOCK_REALTIME = 0
local C, moment = ffi.C, ffi.new("moongate_timespec")
local tonumber, tostring, type, select, pcall, error = tonumber, tostring, type, select, pcall, error
local setmetatable, getmetatable = setmetatable, getmetatable

local M = { _VERSION = "LuaSocket 3.0-rc1", BLOCKSIZE = 2048, _SETSIZE = 1024, _DATAGRAMSIZE = 8192, dns = {} }

--- Seconds since 1970, to the microsecond and as they are now.
function M.gettime()
  C.moongate_clock_gettime(CLOCK_REALTIME, moment)
  return tonumber(moment.sec) + tonumber(moment.nsec) * 1e-9
end

--- Waits; other requests go on.
function M.sleep(seconds)
  if seconds > 0 then
    ngx.sleep(seconds)
  end
end

--- All values but the first `n`.
function M.skip(n, ...)
  return select(n + 1, ...)
end

-- What protect gives back as nil, err.
local caught = {
  __tostring = function(self)
    return tostring(self[1])
  end,
}

--- A function that answers its arguments, or where the first is false or nil throws the second, which protect
--- catches; the finalizer runs before that.
function M.newtry(finalizer)
  return function(...)
    if not (...) then
      if finalizer then
        pcall(finalizer)
      end
      error(setmetatable({ (select(2, ...)) }, caught), 0)
    end
    return ...
  end
end

local function settle(ok, ...)
  if ok then
    return ...
  end
  local thrown = ...
  if getmetatable(thrown) == caught then
    return nil, thrown[1]
  end
  error(thrown, 0)
end

--- The function with what try throws as nil, err.
function M.protect(f)
  return function(...)
    return settle(pcall(f, ...))
  end
end

M.try = M.newtry()

local function milliseconds(seconds)
  -- none is for ever there
  return seconds and seconds >= 0 and math.max(1, math.floor(seconds * 1000)) or 2147483647
end

local function no(name)
  return function()
    error("not supported: socket." .. name, 2)
  end
end

-- Why there is no connection, as LuaSocket says it.
local function unreachable(err)
  return err and err:find("DNS", 1, true) and "host or service not provided, or not known" or err
end

local tcp = { __name = "tcp{client}" }
tcp.__index = tcp

function tcp.__tostring(self)
  return ("tcp{client}: %p"):format(self.sock)
end

function tcp:settimeout(seconds)
  self.timeout = seconds
  self.sock:settimeout(milliseconds(seconds))
  return 1
end

function tcp:gettimeout()
  return self.timeout or -1, -1
end

function tcp:connect(host, port)
  local ok, err = self.sock:connect(host, tonumber(port))
  if not ok then
    return nil, unreachable(err)
  end
  self.host, self.port = host, tonumber(port)
  for option, value in pairs(self.options or {}) do
    self.sock:setoption(option, value)
  end
  return 1
end

tcp.setpeername = tcp.connect

--- Sends s from i to j; the index of the last byte sent.
function tcp:send(s, i, j)
  i, j = i or 1, j or -1
  local from = i < 0 and math.max(1, #s + i + 1) or math.max(1, i)
  local piece = s:sub(i, j)
  if piece == "" then
    return from - 1
  end
  local sent, err = self.sock:send(piece)
  if not sent then
    return nil, err, from - 1
  end
  self.sent = (self.sent or 0) + #piece
  return from + #piece - 1
end

--- Receives by pattern (`*l`, `*a`, a number), with `prefix` in front.
function tcp:receive(pattern, prefix)
  prefix = prefix or ""
  local wanted = tonumber(pattern)
  if wanted then
    pattern = wanted - #prefix
    if pattern <= 0 then
      return prefix
    end
  end
  local data, err, partial = self.sock:receive(pattern or "*l")
  if not data then
    return nil, err, prefix .. (partial or "")
  end
  self.received = (self.received or 0) + #data
  return prefix .. data
end

function tcp:close()
  self.sock:close()
  return 1
end

function tcp:getpeername()
  if not self.host then
    return nil, "Socket is not connected"
  end
  return self.host, self.port, "inet"
end

function tcp:getstats()
  return self.received or 0, self.sent or 0, M.gettime() - self.born
end

function tcp:getfamily()
  return "inet"
end

function tcp:getfd()
  return -1
end

function tcp:dirty()
  return false
end

local OPTIONS = { keepalive = true, reuseaddr = true, ["tcp-nodelay"] = true }

--- Sets keepalive, reuseaddr or tcp-nodelay; before connect it is kept for then.
function tcp:setoption(option, value)
  if not OPTIONS[option] then
    error("not supported: socket.tcp:setoption " .. tostring(option), 2)
  end
  if self.host then
    local ok, err = self.sock:setoption(option, value and true or false)
    return ok and 1 or nil, err
  end
  self.options = self.options or {}
  self.options[option] = value and true or false
  return 1
end

for _, name in ipairs {
  "accept", "bind", "listen", "setfd", "setstats", "getoption", "getsockname", "setsockname", "shutdown",
} do
  tcp[name] = no("tcp:" .. name)
end

function M.tcp()
  local self = setmetatable({ sock = ngx.socket.tcp(), born = M.gettime() }, tcp)
  self.sock:settimeout(milliseconds(nil))
  return self
end

M.tcp4, M.tcp6 = M.tcp, M.tcp

function M.connect(host, port)
  local sock = M.tcp()
  local ok, err = sock:connect(host, port)
  if not ok then
    return nil, err
  end
  return sock
end

M.connect4, M.connect6 = M.connect, M.connect

local udp = {}
udp.__index = udp

function udp:settimeout(seconds)
  self.timeout = seconds
  self.sock:settimeout(milliseconds(seconds))
  return 1
end

function udp:gettimeout()
  return self.timeout or -1, -1
end

function udp:setpeername(host, port)
  local ok, err = self.sock:setpeername(host, tonumber(port))
  if not ok then
    return nil, unreachable(err)
  end
  self.host, self.port = host, tonumber(port)
  return 1
end

function udp:getpeername()
  if not self.host then
    return nil, "Transport endpoint is not connected"
  end
  return self.host, self.port, "inet"
end

function udp:send(datagram)
  local ok, err = self.sock:send(datagram)
  if not ok then
    return nil, err
  end
  return #datagram
end

--- Sends to another peer than the one of setpeername: by a socket of its own.
function udp:sendto(datagram, host, port)
  local sock = ngx.socket.udp()
  local ok, err = sock:setpeername(host, tonumber(port))
  if ok then
    ok, err = sock:send(datagram)
    sock:close()
  end
  if not ok then
    return nil, err
  end
  return #datagram
end

function udp:receive(size)
  return self.sock:receive(size or M._DATAGRAMSIZE)
end

function udp:close()
  self.sock:close()
  return 1
end

for _, name in ipairs {
  "receivefrom", "getsockname", "setsockname", "getoption", "setoption", "getfd", "setfd",
} do
  udp[name] = no("udp:" .. name)
end

function M.udp()
  return setmetatable({ sock = ngx.socket.udp() }, udp)
end

M.udp4, M.udp6 = M.udp, M.udp
M.bind, M.select = no("bind"), no("select")

function M.dns.gethostname()
  return kong.node.get_hostname()
end

--- The name's first address, and a table of all of them.
function M.dns.toip(name)
  local answers, err = kong.dns.toip(name)
  if not answers then
    return nil, err
  end
  return answers, { name = name, ip = { answers }, alias = {} }
end

function M.dns.getaddrinfo(name)
  local ip, err = kong.dns.toip(name)
  if not ip then
    return nil, err
  end
  return { { family = ip:find(":", 1, true) and "inet6" or "inet", addr = ip } }
end

M.dns.tohostname, M.dns.getnameinfo = no("dns.tohostname"), no("dns.getnameinfo")

--- A function that makes what the makers have under a name; where none is said it is `default`.
function M.choose(makers)
  local function named(name)
    return makers[name] or error("unknown key (" .. name .. ")", 3)
  end
  return function(first, ...)
    if type(first) == "string" then
      local make = named(first)
      return make(...)
    end
    local make = named("default")
    return make(first, ...)
  end
end

M.sinkt, M.sourcet = {}, {}

local function sending(sock, at_end)
  return function(piece, err)
    if piece then
      return sock:send(piece)
    elseif at_end and not err then
      sock:close()
    end
    return 1
  end
end

M.sinkt["close-when-done"] = function(sock)
  return sending(sock, true)
end
M.sinkt["keep-open"] = function(sock)
  return sending(sock, false)
end
M.sinkt["default"] = M.sinkt["keep-open"]
M.sink = M.choose(M.sinkt)

--- Pieces until `length` bytes came.
M.sourcet["by-length"] = function(sock, length)
  return function()
    if length <= 0 then
      return nil
    end
    local piece, err = sock:receive(math.min(M.BLOCKSIZE, length))
    if not piece then
      return nil, err
    end
    length = length - #piece
    return piece
  end
end

--- Pieces until the other side closes.
M.sourcet["until-closed"] = function(sock)
  local over
  return function()
    if over then
      return nil
    end
    local piece, err, partial = sock:receive(M.BLOCKSIZE)
    if piece then
      return piece
    elseif err ~= "closed" then
      return nil, err
    end
    sock:close()
    over = true
    return partial ~= "" and partial or nil
  end
end
M.sourcet["default"] = M.sourcet["until-closed"]
M.source = M.choose(M.sourcet)

M.url = require("socket.url")
rawset(_G, "socket", M) -- as LuaSocket's C part leaves it

return M
