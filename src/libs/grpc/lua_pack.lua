-- `lua_pack`: numbers and texts as bytes, by a format of letters.

local ffi = require("ffi")

local error, type, select, tonumber = error, type, select, tonumber
local sub, reverse, unpack = string.sub, string.reverse, unpack

local SIZES = {
  c = { "int8_t", 1 }, C = { "uint8_t", 1 }, b = { "uint8_t", 1 }, h = { "int16_t", 2 }, H = { "uint16_t", 2 },
  i = { "int32_t", 4 }, I = { "uint32_t", 4 }, l = { "int64_t", 8 }, L = { "uint64_t", 8 }, f = { "float", 4 },
  d = { "double", 8 }, n = { "double", 8 },
}
-- texts with their length in front: bytes of the length
local COUNTED = { p = "C", P = "H", a = "L" }

local function cells(letter)
  local size = SIZES[letter]
  size.cell = size.cell or ffi.new(size[1] .. "[1]")
  return size.cell, size[2]
end

local function put(letter, big, value)
  local cell, n = cells(letter)
  cell[0] = value
  local bytes = ffi.string(cell, n)
  return big and reverse(bytes) or bytes
end

local function get(letter, big, bytes, at)
  local cell, n = cells(letter)
  if at + n - 1 > #bytes then
    return nil
  end
  local piece = sub(bytes, at, at + n - 1)
  ffi.copy(cell, big and reverse(piece) or piece, n)
  return tonumber(cell[0]), at + n
end

-- Calls f(letter, count) for each letter; `>` and `<` set `order.big`.
local function each(format, order, f)
  local at = 1
  while at <= #format do
    local letter, digits, after = format:match("^(.)(%d*)()", at)
    at = after
    if letter == ">" then
      order.big = true
    elseif letter == "<" or letter == "=" then
      order.big = false
    elseif letter ~= " " and letter ~= "," then
      if f(letter, tonumber(digits) or 1, digits ~= "") == false then
        return
      end
    end
  end
end

local M = {}

function M.pack(format, ...)
  local order, out, given, arg = {}, {}, { ... }, 0
  local n = select("#", ...)
  local function value(kind)
    arg = arg + 1
    if arg > n or (type(given[arg]) ~= kind and type(given[arg]) ~= "number") then
      error("bad argument #" .. (arg + 1) .. " to 'pack' (" .. kind .. " expected, got "
        .. (arg > n and "no value" or type(given[arg])) .. ")", 4)
    end
    return given[arg]
  end
  each(format, order, function(letter, count)
    for _ = 1, letter == "A" and 1 or count do
      if letter == "A" then
        out[#out + 1] = value("string")
      elseif letter == "z" then
        out[#out + 1] = value("string") .. "\0"
      elseif COUNTED[letter] then
        local text = value("string")
        out[#out + 1] = put(COUNTED[letter], order.big, #text) .. text
      elseif SIZES[letter] then
        out[#out + 1] = put(letter, order.big, value("number"))
      else
        error("bad code '" .. letter .. "'", 3)
      end
    end
  end)
  return table.concat(out)
end

--- Where reading stopped, and the values; fewer of them if the bytes end early.
function M.unpack(bytes, format, from)
  local order, out, at = {}, {}, from or 1
  each(format, order, function(letter, count, counted)
    for _ = 1, letter == "A" and 1 or count do
      local value, after
      if letter == "A" then
        local n = counted and count or 1
        value, after = sub(bytes, at, at + n - 1), at + n
        value = #value == n and value or nil
      elseif letter == "z" then
        local stop = bytes:find("\0", at, true)
        value, after = stop and sub(bytes, at, stop - 1), stop and stop + 1
      elseif COUNTED[letter] then
        local n, start = get(COUNTED[letter], order.big, bytes, at)
        if n and start + n - 1 <= #bytes then
          value, after = sub(bytes, start, start + n - 1), start + n
        end
      elseif SIZES[letter] then
        value, after = get(letter, order.big, bytes, at)
      else
        error("bad code '" .. letter .. "'", 3)
      end
      if not value then
        return false
      end
      out[#out + 1], at = value, after
    end
  end)
  return at, unpack(out)
end

return M
