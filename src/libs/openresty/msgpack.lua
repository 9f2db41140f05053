-- `MessagePack`: pack, unpack and unpacker of one value after another.

local ffi = require "ffi"
local byte, char, sub, reverse = string.byte, string.char, string.sub, string.reverse
local floor, huge = math.floor, math.huge

local M = { _VERSION = "0.5.2" }

local swap = ffi.abi("le")

local function numeral(ctype, size, value)
  local bytes = ffi.string(ffi.new(ctype .. "[1]", value), size)
  return swap and reverse(bytes) or bytes
end

local function big(n, size)
  local out = ""
  for _ = 1, size do
    out = char(n % 256) .. out
    n = floor(n / 256)
  end
  return out
end

-- the shortest head for a length: each of `heads` is { limit, first byte, size of the length }
local function head(n, heads)
  for _, h in ipairs(heads) do
    if n < h[1] then
      return h[3] == 0 and char(h[2] + n) or char(h[2]) .. big(n, h[3])
    end
  end
  error("too long for MessagePack", 3)
end

local STRING = { { 32, 0xA0, 0 }, { 256, 0xD9, 1 }, { 65536, 0xDA, 2 }, { 2 ^ 32, 0xDB, 4 } }
local ARRAY = { { 16, 0x90, 0 }, { 65536, 0xDC, 2 }, { 2 ^ 32, 0xDD, 4 } }
local MAP = { { 16, 0x80, 0 }, { 65536, 0xDE, 2 }, { 2 ^ 32, 0xDF, 4 } }
local UNSIGNED = { { 128, 0, 0 }, { 256, 0xCC, 1 }, { 65536, 0xCD, 2 }, { 2 ^ 32, 0xCE, 4 }, { 2 ^ 53, 0xCF, 8 } }

local pack

local function pack_number(n)
  if n ~= floor(n) or n == huge or n == -huge or n >= 2 ^ 53 or n < -2 ^ 53 then
    return char(0xCB) .. numeral("double", 8, n)
  elseif n >= 0 then
    return head(n, UNSIGNED)
  elseif n >= -32 then
    return char(256 + n)
  elseif n >= -128 then
    return char(0xD0, 256 + n)
  elseif n >= -32768 then
    return char(0xD1) .. numeral("int16_t", 2, n)
  elseif n >= -2147483648 then
    return char(0xD2) .. numeral("int32_t", 4, n)
  end
  return char(0xD3) .. numeral("int64_t", 8, n)
end

local function pack_table(t, depth)
  if depth > 128 then
    error("too deep for MessagePack", 0)
  end
  local n, count, parts = #t, 0, {}
  for _ in pairs(t) do
    count = count + 1
  end
  if n == count and n > 0 or next(t) == nil then
    for i = 1, n do
      parts[i] = pack(t[i], depth + 1)
    end
    return head(n, ARRAY) .. table.concat(parts)
  end
  for k, v in pairs(t) do
    parts[#parts + 1] = pack(k, depth + 1) .. pack(v, depth + 1)
  end
  return head(count, MAP) .. table.concat(parts)
end

function pack(value, depth)
  local kind = type(value)
  if value == nil or value == ngx.null then
    return char(0xC0)
  elseif kind == "boolean" then
    return char(value and 0xC3 or 0xC2)
  elseif kind == "number" then
    return pack_number(value)
  elseif kind == "string" then
    return head(#value, STRING) .. value
  elseif kind == "table" then
    return pack_table(value, depth)
  end
  error("pack '" .. kind .. "' is unimplemented", 0)
end

function M.pack(value)
  return pack(value, 0)
end

local read

local function need(s, at, n)
  if at + n - 1 > #s then
    error("missing bytes", 0)
  end
end

local function unsigned(s, at, size)
  need(s, at, size)
  local n = 0
  for i = at, at + size - 1 do
    n = n * 256 + byte(s, i)
  end
  return n, at + size
end

local function fixed(s, at, ctype, size)
  need(s, at, size)
  local bytes = sub(s, at, at + size - 1)
  local box = ffi.new(ctype .. "[1]")
  ffi.copy(box, swap and reverse(bytes) or bytes, size)
  return tonumber(box[0]), at + size
end

local function text(s, at, n)
  need(s, at, n)
  return sub(s, at, at + n - 1), at + n
end

local function list(s, at, n, depth)
  need(s, at, n)
  local t = {}
  for i = 1, n do
    t[i], at = read(s, at, depth)
  end
  return t, at
end

local function map(s, at, n, depth)
  need(s, at, 2 * n)
  local t = {}
  for _ = 1, n do
    local key
    key, at = read(s, at, depth)
    local value
    value, at = read(s, at, depth)
    if key ~= nil and key == key then
      t[key] = value
    end
  end
  return t, at
end

local SIZED = {
  [0xC4] = { text, 1 }, [0xC5] = { text, 2 }, [0xC6] = { text, 4 },
  [0xD9] = { text, 1 }, [0xDA] = { text, 2 }, [0xDB] = { text, 4 },
  [0xDC] = { list, 2 }, [0xDD] = { list, 4 }, [0xDE] = { map, 2 }, [0xDF] = { map, 4 },
}
local NUMBERS = {
  [0xCA] = { "float", 4 }, [0xCB] = { "double", 8 },
  [0xCC] = { "uint8_t", 1 }, [0xCD] = { "uint16_t", 2 }, [0xCE] = { "uint32_t", 4 }, [0xCF] = { "uint64_t", 8 },
  [0xD0] = { "int8_t", 1 }, [0xD1] = { "int16_t", 2 }, [0xD2] = { "int32_t", 4 }, [0xD3] = { "int64_t", 8 },
}

function read(s, at, depth)
  if depth > 128 then
    error("too deep", 0)
  end
  need(s, at, 1)
  local tag = byte(s, at)
  at = at + 1
  if tag < 0x80 then
    return tag, at
  elseif tag < 0x90 then
    return map(s, at, tag - 0x80, depth + 1)
  elseif tag < 0xA0 then
    return list(s, at, tag - 0x90, depth + 1)
  elseif tag < 0xC0 then
    return text(s, at, tag - 0xA0)
  elseif tag >= 0xE0 then
    return tag - 256, at
  elseif tag == 0xC0 then
    return nil, at
  elseif tag == 0xC2 or tag == 0xC3 then
    return tag == 0xC3, at
  elseif NUMBERS[tag] then
    return fixed(s, at, NUMBERS[tag][1], NUMBERS[tag][2])
  elseif SIZED[tag] then
    local n
    n, at = unsigned(s, at, SIZED[tag][2])
    return SIZED[tag][1](s, at, n, depth + 1)
  end
  error(("unpack '%#x' is unimplemented"):format(tag), 0)
end

--- The value that a text holds; raises when it holds less or more.
function M.unpack(s)
  local value, at = read(s, 1, 0)
  if at <= #s then
    error("extra bytes", 2)
  end
  return value
end

--- An iterator over the values of a text: the place and the value.
function M.unpacker(s)
  local at = 1
  return function()
    if at <= #s then
      local from = at
      local value
      value, at = read(s, at, 0)
      return from, value
    end
  end
end

return M
