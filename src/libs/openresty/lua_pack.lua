-- `lua_pack`: pack and unpack of binary text, by lpack's letters: z p P a A f d n c b h H i I l L, after `<`, `>`
-- or `=` in that byte order; a number after a letter repeats it (of `A`: its length).

local ffi = require "ffi"
local char, reverse, sub = string.char, string.reverse, string.sub

local M = {}

local C_TYPES = {
  f = "float", d = "double", n = "double", c = "int8_t", b = "uint8_t", h = "int16_t", H = "uint16_t",
  i = "int32_t", I = "uint32_t", l = "int64_t", L = "uint64_t",
}
local LENGTHS = { p = "b", P = "H", a = "I" }
local boxes = {}
for letter, name in pairs(C_TYPES) do
  boxes[letter] = { ffi.typeof(name .. "[1]"), ffi.sizeof(name) }
end
local little = ffi.abi("le")

local function write(letter, value, swap)
  local box = boxes[letter]
  local bytes = ffi.string(box[1](value), box[2])
  return swap and reverse(bytes) or bytes
end

local function read(letter, s, at, swap)
  local box = boxes[letter]
  local bytes = sub(s, at, at + box[2] - 1)
  if #bytes < box[2] then
    return nil, at
  end
  local to = box[1]()
  ffi.copy(to, swap and reverse(bytes) or bytes, box[2])
  return tonumber(to[0]), at + box[2]
end

-- calls f(letter, count, given) for each letter of a format, until it answers true
local function each(format, f)
  local swap = false
  for letter, count in format:gmatch("([%a<>=])(%d*)") do
    if letter == "<" then
      swap = not little
    elseif letter == ">" then
      swap = little
    elseif letter == "=" then
      swap = false
    elseif f(letter, tonumber(count) or 1, count ~= "", swap) then
      return
    end
  end
end

function M.pack(format, ...)
  local values, at, out = { ... }, 0, {}
  each(format, function(letter, count, given, swap)
    for _ = 1, letter == "A" and 1 or count do
      at = at + 1
      local value = values[at]
      if letter == "z" then
        out[#out + 1] = value .. char(0)
      elseif letter == "A" then
        out[#out + 1] = given and sub(value, 1, count) or value
      elseif LENGTHS[letter] then
        out[#out + 1] = write(LENGTHS[letter], #value, swap) .. value
      elseif boxes[letter] then
        out[#out + 1] = write(letter, value, swap)
      else
        error("bad code '" .. letter .. "'", 4)
      end
    end
  end)
  return table.concat(out)
end

-- one value and the place after it; nil at the text's end
local function take(letter, count, s, at, swap)
  if letter == "z" then
    local stop = s:find("\0", at, true)
    if not stop then
      return nil, at
    end
    return sub(s, at, stop - 1), stop + 1
  elseif letter == "A" then
    if at + count - 1 > #s then
      return nil, at
    end
    return sub(s, at, at + count - 1), at + count
  elseif LENGTHS[letter] then
    local len, after = read(LENGTHS[letter], s, at, swap)
    if not len or after + len - 1 > #s then
      return nil, at
    end
    return sub(s, after, after + len - 1), after + len
  elseif boxes[letter] then
    return read(letter, s, at, swap)
  end
  error("bad code '" .. letter .. "'", 5)
end

--- The place after what was read, and the values.
function M.unpack(s, format, init)
  local at, values, n = init or 1, {}, 0
  each(format, function(letter, count, _, swap)
    for _ = 1, letter == "A" and 1 or count do
      local value
      value, at = take(letter, count, s, at, swap)
      if value == nil then
        return true
      end
      n = n + 1
      values[n] = value
    end
  end)
  return at, unpack(values, 1, n)
end

M.bpack, M.bunpack = M.pack, M.unpack

return M
