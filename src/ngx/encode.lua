-- Escaping, encodings and digests. What isn't a string is written as one; nil and false are the empty string.
-- Natives answer what is short, the ops the rest.

local ngx = ...
local native = require "moongate.native"
local ops = require("moongate.ops").ngx_encode
local c, reply, bytes, ffi_string = native.ngx_encode, native.reply, native.bytes, require("ffi").string
local type, tostring, error = type, tostring, error

local escape, unescape, encode, decode, decode_mime = ops.escape_uri, ops.unescape_uri, ops.encode_base64,
  ops.decode_base64, ops.decode_base64mime
local md5, md5_bin, sha1_bin, crc32 = ops.md5, ops.md5_bin, ops.sha1_bin, ops.crc32
local c_escape, c_unescape, c_encode, c_decode = c.escape_uri, c.unescape_uri, c.encode_base64, c.decode_base64
local c_md5, c_md5_bin, c_sha1_bin, c_crc32 = c.md5, c.md5_bin, c.sha1_bin, c.crc32
local COMPONENT, NONE = 2, -1

local function text(s)
  return s and tostring(s) or ""
end

function ngx.escape_uri(s, kind)
  if type(s) ~= "string" then
    s = text(s)
  end
  if kind == nil then
    kind = COMPONENT
  elseif type(kind) ~= "number" then
    error('"type" is not a number', 3)
  elseif kind < 0 or kind > 6 then
    error('"type" ' .. kind .. " out of range", 3)
  end
  local n = c_escape(s, #s, nil, 0, reply, kind, 0, 0, 0)
  if n == NONE then
    return s
  elseif n >= 0 then
    return ffi_string(bytes, n)
  end
  return escape(s, kind)
end

function ngx.unescape_uri(s)
  if type(s) ~= "string" then
    s = text(s)
  end
  local n = c_unescape(s, #s, nil, 0, reply, 0, 0, 0, 0)
  if n == NONE then
    return s
  elseif n >= 0 then
    return ffi_string(bytes, n)
  end
  return unescape(s)
end

function ngx.encode_base64(s, no_padding)
  if type(s) ~= "string" then
    s = text(s)
  end
  if no_padding and no_padding ~= true then
    error("bad no_padding: boolean expected, got " .. type(no_padding), 2)
  end
  local n = c_encode(s, #s, nil, 0, reply, no_padding and 1 or 0, 0, 0, 0)
  if n >= 0 then
    return ffi_string(bytes, n)
  end
  return encode(s, no_padding)
end

function ngx.decode_base64(s)
  if type(s) ~= "string" then
    error("string argument only", 2)
  end
  local n = c_decode(s, #s, nil, 0, reply, 0, 0, 0, 0)
  if n >= 0 then
    return ffi_string(bytes, n)
  elseif n == NONE then
    return nil
  end
  return decode(s)
end

function ngx.decode_base64mime(s)
  if type(s) ~= "string" then
    error("string argument only", 2)
  end
  return decode_mime(s)
end

function ngx.md5(s)
  if type(s) ~= "string" then
    s = text(s)
  end
  local n = c_md5(s, #s, nil, 0, reply, 0, 0, 0, 0)
  return n >= 0 and ffi_string(bytes, n) or md5(s)
end

function ngx.md5_bin(s)
  if type(s) ~= "string" then
    s = text(s)
  end
  local n = c_md5_bin(s, #s, nil, 0, reply, 0, 0, 0, 0)
  return n >= 0 and ffi_string(bytes, n) or md5_bin(s)
end

function ngx.sha1_bin(s)
  if type(s) ~= "string" then
    s = text(s)
  end
  local n = c_sha1_bin(s, #s, nil, 0, reply, 0, 0, 0, 0)
  return n >= 0 and ffi_string(bytes, n) or sha1_bin(s)
end

function ngx.crc32_short(s)
  if type(s) ~= "string" then
    s = text(s)
  end
  return c_crc32(s, #s, nil, 0, reply, 0, 0, 0, 0) == 0 and reply.number or crc32(s)
end

ngx.crc32_long = ngx.crc32_short

ngx.hmac_sha1 = ops.hmac_sha1
ngx.quote_sql_str = ops.quote_sql_str

package.loaded["moongate.ngx.encode"] = ops
