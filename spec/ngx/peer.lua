-- Peers for specs of sockets, on plain system calls: connecting needs no accept, and what was sent waits in the kernel,
-- so that one flow can play both sides.

local ffi = require "ffi"

pcall(ffi.cdef, [[
  struct moongate_peer_in { unsigned short family; unsigned char port[2]; unsigned char ip[4]; char rest[8]; };
  struct moongate_peer_un { unsigned short family; char path[108]; };
  int socket(int, int, int);
  int bind(int, const void *, unsigned int);
  int listen(int, int);
  int accept(int, void *, unsigned int *);
  int getsockname(int, void *, unsigned int *);
  int getpeername(int, void *, unsigned int *);
  long recvfrom(int, void *, size_t, int, void *, unsigned int *);
  long sendto(int, const void *, size_t, int, const void *, unsigned int);
  int shutdown(int, int);
  int close(int);
]])

local C = ffi.C
local NOSIGNAL = 0x4000

local M = {}
local mt = { __index = M }

local function address()
  local a = ffi.new("struct moongate_peer_in")
  a.family, a.ip[0], a.ip[3] = 2, 127, 1
  return a
end

local function open(kind)
  local fd = C.socket(2, kind, 0)
  local a, size = address(), ffi.new("unsigned int[1]", 16)
  assert(C.bind(fd, a, 16) == 0)
  C.getsockname(fd, a, size)
  return setmetatable({ fd = fd, port = a.port[0] * 256 + a.port[1] }, mt)
end

--- A listener of TCP on a port of its own.
function M.tcp()
  local peer = open(1)
  assert(C.listen(peer.fd, 16) == 0)
  return peer
end

--- A listener of UDP on a port of its own.
function M.udp()
  return open(2)
end

--- A listener at a path; kind 1 is a stream, 2 datagrams.
function M.unix(path, kind)
  os.remove(path)
  local fd = C.socket(1, kind, 0)
  local a = ffi.new("struct moongate_peer_un")
  a.family = 1
  ffi.copy(a.path, path)
  assert(C.bind(fd, a, ffi.sizeof(a)) == 0)
  if kind == 1 then
    assert(C.listen(fd, 16) == 0)
  end
  return setmetatable({ fd = fd, path = path }, mt)
end

--- The next connection.
function M:accept()
  local fd = C.accept(self.fd, nil, nil)
  assert(fd >= 0)
  local a, size = address(), ffi.new("unsigned int[1]", 16)
  C.getpeername(fd, a, size)
  return setmetatable({ fd = fd, from = ("%d.%d.%d.%d"):format(a.ip[0], a.ip[1], a.ip[2], a.ip[3]) }, mt)
end

function M:recv(size)
  local buffer = ffi.new("char[?]", size or 65536)
  self.sender, self.sender_size = ffi.new("char[128]"), ffi.new("unsigned int[1]", 128)
  local n = C.recvfrom(self.fd, buffer, size or 65536, 0, self.sender, self.sender_size)
  return n >= 0 and ffi.string(buffer, n) or nil
end

function M:send(text)
  return tonumber(C.sendto(self.fd, text, #text, NOSIGNAL, nil, 0))
end

--- Answers whoever sent the datagram received last.
function M:answer(text)
  return tonumber(C.sendto(self.fd, text, #text, NOSIGNAL, self.sender, self.sender_size[0]))
end

--- Sends no more, and listens on.
function M:finish()
  C.shutdown(self.fd, 1)
end

function M:close()
  C.close(self.fd)
  if self.path then
    os.remove(self.path)
  end
end

return M
