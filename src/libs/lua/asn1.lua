-- libcrypto's C functions for DER (`ASN1_*`, `d2i_ASN1_*`, `i2d_ASN1_*`), as far as Kong's ldap-auth calls them
-- through `ffi.C`, for a system without OpenSSL's library. What they give belongs to these functions, and to no
-- other of OpenSSL's.
--
-- Source: the manual pages ASN1_STRING_new(3), ASN1_INTEGER_get(3), d2i_X509(3); X.690.

local ffi = require "ffi"
local bit = require "bit"
local band, bor, lshift, rshift = bit.band, bit.bor, bit.lshift, bit.rshift
local cast, copy, char, tonumber, type = ffi.cast, ffi.copy, string.char, tonumber, type

ffi.cdef [[
struct asn1_string_st;
typedef struct { int length; int type; unsigned char *data; } moongate_asn1;
void *malloc(size_t size);
]]

local C = ffi.C
local INTEGER, OCTET_STRING, ENUMERATED = 2, 4, 10
local CONSTRUCTED, FAILED = 0x20, 0x80
local OPAQUE, OURS = ffi.typeof("struct asn1_string_st *"), ffi.typeof("moongate_asn1 *")
local NULL = cast(OPAQUE, nil)

local M = {}

-- === memory ===

local function new(kind)
  local s = cast(OURS, C.malloc(ffi.sizeof("moongate_asn1")))
  if s == nil then
    return NULL
  end
  s.length, s.type, s.data = 0, kind, nil
  return cast(OPAQUE, s)
end

local function set(s, data, length)
  s = cast(OURS, s)
  -- with a zero behind it, which is not counted
  local bytes = cast("unsigned char *", C.malloc(length + 1))
  if bytes == nil then
    return 0
  end
  if length > 0 then
    copy(bytes, data, length)
  end
  bytes[length] = 0
  C.free(s.data)
  s.data, s.length = bytes, length
  return 1
end

local function free(s)
  if s ~= nil then
    s = cast(OURS, s)
    C.free(s.data)
    C.free(s)
  end
end

M.ASN1_STRING_free, M.ASN1_INTEGER_free = free, free
M.ASN1_ENUMERATED_free, M.ASN1_OCTET_STRING_free = free, free

function M.ASN1_OCTET_STRING_new()
  return new(OCTET_STRING)
end

function M.ASN1_INTEGER_new()
  return new(INTEGER)
end

function M.ASN1_ENUMERATED_new()
  return new(ENUMERATED)
end

-- === values ===

function M.ASN1_STRING_set(s, data, length)
  length = tonumber(length)
  if length < 0 then
    if data == nil then
      return 0
    end
    data = type(data) == "string" and data:match("^[^%z]*") or ffi.string(cast("const char *", data))
    length = #data
  end
  if type(data) ~= "string" then
    data = data ~= nil and cast("const unsigned char *", data) or ("\0"):rep(length)
  end
  return set(s, data, length)
end

function M.ASN1_STRING_get0_data(s)
  return cast("const unsigned char *", cast(OURS, s).data)
end

function M.ASN1_STRING_data(s)
  return cast(OURS, s).data
end

function M.ASN1_STRING_length(s)
  return cast(OURS, s).length
end

-- Whole numbers are kept as they are written: two's complement, no byte too many.
local function set_number(s, value)
  value = cast("int64_t", value)
  local bytes = {}
  repeat
    local low = tonumber(band(value, 0xff))
    bytes[#bytes + 1] = char(low)
    value = bit.arshift(value, 8)
  until value == 0 and low < 0x80 or value == -1 and low >= 0x80
  local text = table.concat(bytes):reverse()
  return set(s, text, #text)
end

local function get_number(kind, overflow)
  return function(s)
    if s == nil then
      return 0LL
    end
    s = cast(OURS, s)
    if s.type ~= kind or s.length > 8 then
      return s.type ~= kind and -1LL or overflow
    end
    local value = s.length > 0 and s.data[0] >= 0x80 and -1LL or 0LL
    for i = 0, s.length - 1 do
      value = bor(lshift(value, 8), s.data[i])
    end
    return value
  end
end

M.ASN1_INTEGER_set, M.ASN1_ENUMERATED_set = set_number, set_number
M.ASN1_INTEGER_get = get_number(INTEGER, -1LL)
M.ASN1_ENUMERATED_get = get_number(ENUMERATED, 0xffffffffLL)

-- === tags and lengths ===

-- What stands at `p`, of which `max` bytes may be read: tag, class, CONSTRUCTED or 0, length (nil when it is
-- not given), and the place behind.
local function header(p, max)
  local at = 0
  local function byte()
    if at >= max then
      return nil
    end
    at = at + 1
    return p[at - 1]
  end
  local first = byte()
  if not first then
    return nil
  end
  local tag = band(first, 0x1f)
  if tag == 0x1f then
    tag = 0
    repeat
      local b = byte()
      if not b or tag > rshift(0x7fffffff, 7) then
        return nil
      end
      tag = bor(lshift(tag, 7), band(b, 0x7f))
    until b < 0x80
  end
  local length = byte()
  if not length then
    return nil
  end
  local constructed = band(first, CONSTRUCTED)
  if length == 0x80 then
    if constructed == 0 then
      return nil
    end
    length = nil
  elseif length > 0x80 then
    local n = length - 0x80
    length = 0
    for _ = 1, n do
      local b = byte()
      if not b or length >= 2 ^ 45 then
        return nil
      end
      length = length * 256 + b
    end
  end
  return tag, band(first, 0xc0), constructed, length, at
end

function M.ASN1_get_object(pp, plength, ptag, pclass, max)
  max = tonumber(max)
  local tag, class, constructed, length, at = header(cast("const unsigned char **", pp)[0], max)
  if not tag then
    return FAILED
  end
  ptag[0], pclass[0], plength[0] = tag, class, length or 0
  pp[0] = pp[0] + at
  local result = bor(constructed, length and 0 or 1)
  return (length or 0) > max - at and bor(result, FAILED) or result
end

-- Writes `value` in pieces of so many bits, the highest first; the place behind.
local function put(out, at, value, bits)
  local n = 1
  while value >= 2 ^ (bits * n) do
    n = n + 1
  end
  for i = n - 1, 0, -1 do
    local part = band(rshift(value, bits * i), lshift(1, bits) - 1)
    out[at] = (bits == 7 and i > 0) and bor(part, 0x80) or part
    at = at + 1
  end
  return at
end

function M.ASN1_put_object(pp, constructed, length, tag, class)
  constructed, length, tag = tonumber(constructed), tonumber(length), tonumber(tag)
  local out, at = cast("unsigned char **", pp)[0], 1
  local first = bor(constructed ~= 0 and CONSTRUCTED or 0, band(tonumber(class), 0xc0))
  out[0] = bor(first, tag < 31 and tag or 0x1f)
  if tag >= 31 then
    at = put(out, at, tag, 7)
  end
  if constructed == 2 then
    out[at], at = 0x80, at + 1
  elseif length < 0x80 then
    out[at], at = length, at + 1
  else
    local after = put(out, at + 1, length, 8)
    out[at], at = bor(0x80, after - at - 1), after
  end
  pp[0] = pp[0] + at
end

function M.ASN1_object_size(constructed, length, tag)
  length = tonumber(length)
  if length < 0 then
    return -1
  end
  local buffer = ffi.new("unsigned char[16]")
  local at = ffi.new("unsigned char *[1]", buffer)
  M.ASN1_put_object(at, constructed, length, tag, 0)
  local size = tonumber(at[0] - buffer) + length + (tonumber(constructed) == 2 and 2 or 0)
  return size <= 0x7fffffff and size or -1
end

-- === from and to DER ===

local function padded(p, length)
  return length > 1 and (p[0] == 0 and p[1] < 0x80 or p[0] == 0xff and p[1] >= 0x80)
end

local function reader(kind)
  return function(into, pp, max)
    local p = cast("const unsigned char **", pp)[0]
    max = tonumber(max)
    local tag, class, constructed, length, at = header(p, max)
    if tag ~= kind or class ~= 0 or constructed ~= 0 or length > max - at then
      return NULL
    end
    p = p + at
    if kind ~= OCTET_STRING and (length == 0 or padded(p, length)) then
      return NULL
    end
    local s = into ~= nil and into[0] ~= nil and into[0] or new(kind)
    if s == nil or set(s, p, length) == 0 then
      return NULL
    end
    if into ~= nil then
      into[0] = s
    end
    pp[0] = cast("const unsigned char *", p + length)
    return s
  end
end

-- What is written for a caller without a buffer lives until as many others are.
local kept, turn = {}, 0

local function writer(kind)
  return function(s, pp)
    s = cast(OURS, s)
    local size = M.ASN1_object_size(0, s.length, kind)
    if pp == nil then
      return size
    end
    pp = cast("unsigned char **", pp)
    local out = pp[0]
    if out ~= nil then
      pp[0] = out + size
    else
      local buffer = ffi.new("unsigned char[?]", size)
      turn = turn % 64 + 1
      kept[turn] = buffer
      out = cast("unsigned char *", buffer)
      pp[0] = out
    end
    local at = ffi.new("unsigned char *[1]", out)
    M.ASN1_put_object(at, 0, s.length, kind, 0)
    copy(at[0], s.data, s.length)
    return size
  end
end

for name, kind in pairs { INTEGER = INTEGER, OCTET_STRING = OCTET_STRING, ENUMERATED = ENUMERATED } do
  M["d2i_ASN1_" .. name], M["i2d_ASN1_" .. name] = reader(kind), writer(kind)
end

return M
