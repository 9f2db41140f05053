-- Escaping, encodings and digests. What isn't a string is written as one; nil and false are the empty string.

local ngx = ...
local ops = require("moongate.ops").ngx_encode
local type, tostring, error = type, tostring, error

local escape, unescape, encode, decode, decode_mime = ops.escape_uri, ops.unescape_uri, ops.encode_base64,
  ops.decode_base64, ops.decode_base64mime

local function text(s)
  return s and tostring(s) or ""
end

function ngx.escape_uri(s, kind)
  if type(s) ~= "string" then
    s = text(s)
  end
  if kind == nil then
    return escape(s)
  elseif type(kind) ~= "number" then
    error('"type" is not a number', 3)
  elseif kind < 0 or kind > 6 then
    error('"type" ' .. kind .. " out of range", 3)
  end
  return escape(s, kind)
end

function ngx.unescape_uri(s)
  if type(s) ~= "string" then
    s = text(s)
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
  return encode(s, no_padding)
end

function ngx.decode_base64(s)
  if type(s) ~= "string" then
    error("string argument only", 2)
  end
  return decode(s)
end

function ngx.decode_base64mime(s)
  if type(s) ~= "string" then
    error("string argument only", 2)
  end
  return decode_mime(s)
end

for name, op in pairs { md5 = ops.md5, md5_bin = ops.md5_bin, sha1_bin = ops.sha1_bin, crc32_short = ops.crc32,
                        crc32_long = ops.crc32 } do
  ngx[name] = function(s)
    if type(s) ~= "string" then
      s = text(s)
    end
    return op(s)
  end
end

ngx.hmac_sha1 = ops.hmac_sha1
ngx.quote_sql_str = ops.quote_sql_str

package.loaded["moongate.ngx.encode"] = ops
