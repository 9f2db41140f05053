-- ndk.set_var: the directives of OpenResty's set-misc module that take one value.

local ngx = ...
local running = require "moongate.running"
local error, tostring, setmetatable, tonumber = error, tostring, setmetatable, tonumber
local byte, char, format, gsub, rep, sub = string.byte, string.char, string.format, string.gsub, string.rep, string.sub
local concat, floor = table.concat, math.floor

local ESCAPES = { ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t",
                  ['"'] = '\\"', ["\\"] = "\\\\" }

local function quote_json(s)
  if s == "" then
    return "null"
  end
  return '"' .. gsub(s, '[%c"\\]', function(c)
    return ESCAPES[c] or c ~= "\127" and format("\\u%04x", byte(c)) or c
  end) .. '"'
end

local function encode_hex(s)
  return (gsub(s, ".", function(c)
    return format("%02x", byte(c))
  end))
end

local function decode_hex(s)
  if #s % 2 ~= 0 or s:find("%X") then
    return nil
  end
  return (gsub(s, "..", function(pair)
    return char(tonumber(pair, 16))
  end))
end

local BASE32 = "0123456789abcdefghijklmnopqrstuv"

local function encode_base32(s)
  local out = {}
  local value, bits = 0, 0
  for i = 1, #s do
    value, bits = value * 256 + byte(s, i), bits + 8
    while bits >= 5 do
      bits = bits - 5
      local digit = floor(value / 2 ^ bits)
      value = value % 2 ^ bits
      out[#out + 1] = sub(BASE32, digit + 1, digit + 1)
    end
  end
  if bits > 0 then
    local digit = value * 2 ^ (5 - bits)
    out[#out + 1] = sub(BASE32, digit + 1, digit + 1)
  end
  return concat(out) .. rep("=", (8 - #out % 8) % 8)
end

local function decode_base32(s)
  local out = {}
  local value, bits = 0, 0
  for c in s:lower():gsub("=+$", ""):gmatch(".") do
    local digit = BASE32:find(c, 1, true)
    if not digit then
      return nil
    end
    value, bits = value * 32 + digit - 1, bits + 5
    if bits >= 8 then
      bits = bits - 8
      out[#out + 1] = char(floor(value / 2 ^ bits))
      value = value % 2 ^ bits
    end
  end
  return concat(out)
end

local directives = {
  set_escape_uri = ngx.escape_uri,
  set_unescape_uri = ngx.unescape_uri,
  set_quote_sql_str = ngx.quote_sql_str,
  set_quote_json_str = quote_json,
  set_encode_base64 = ngx.encode_base64,
  set_decode_base64 = ngx.decode_base64,
  set_encode_base32 = encode_base32,
  set_decode_base32 = decode_base32,
  set_encode_hex = encode_hex,
  set_decode_hex = decode_hex,
  set_md5 = ngx.md5,
  set_sha1 = function(s)
    return encode_hex(ngx.sha1_bin(s))
  end,
}

local functions = {}
for var, directive in pairs(directives) do
  functions[var] = function(arg)
    if running[1] == 0 then
      error("no request found", 2)
    end
    local value = directive(tostring(arg))
    if not value then
      error("calling directive " .. var .. " failed with code -1", 2)
    end
    return value
  end
end

local ndk = {
  set_var = setmetatable({}, {
    __index = function(_, var)
      var = tostring(var)
      return functions[var]
        or error('ndk.set_var: directive "' .. var .. '" not found or does not use ndk_set_var_value', 2)
    end,
    __newindex = function()
      error("not allowed", 2)
    end,
  }),
}
rawset(_G, "ndk", ndk)
package.loaded.ndk = ndk
