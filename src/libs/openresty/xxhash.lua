-- `luaxxhash`: XXH32 of a string.

local bit = require "bit"
local bxor, rol, rshift, lshift, tobit = bit.bxor, bit.rol, bit.rshift, bit.lshift, bit.tobit
local byte = string.byte

local P1, P2, P3, P4, P5 = 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F, 0x165667B1

-- a * b modulo 2^32, in halves that a double holds
local function mul(a, b)
  a = a % 0x100000000
  local high, low = rshift(tobit(a), 16), a % 0x10000
  return tobit(tobit(lshift(tobit((high * b) % 0x100000000), 16)) + tobit((low * b) % 0x100000000))
end

local function word(s, i)
  local a, b, c, d = byte(s, i, i + 3)
  return tobit(a + b * 0x100 + c * 0x10000 + d * 0x1000000)
end

local function round(acc, lane)
  return mul(rol(tobit(acc + mul(lane, P2)), 13), P1)
end

return function(s, seed)
  seed = seed or 0
  local len, i = #s, 1
  local h
  if len >= 16 then
    local a, b, c, d = tobit(seed + P1 + P2), tobit(seed + P2), tobit(seed), tobit(seed - P1)
    while i + 15 <= len do
      a, b = round(a, word(s, i)), round(b, word(s, i + 4))
      c, d = round(c, word(s, i + 8)), round(d, word(s, i + 12))
      i = i + 16
    end
    h = tobit(tobit(rol(a, 1) + rol(b, 7)) + tobit(rol(c, 12) + rol(d, 18)))
  else
    h = tobit(seed + P5)
  end
  h = tobit(h + len)
  while i + 3 <= len do
    h = mul(rol(tobit(h + mul(word(s, i), P3)), 17), P4)
    i = i + 4
  end
  while i <= len do
    h = mul(rol(tobit(h + mul(byte(s, i), P5)), 11), P1)
    i = i + 1
  end
  h = mul(bxor(h, rshift(h, 15)), P2)
  h = mul(bxor(h, rshift(h, 13)), P3)
  h = bxor(h, rshift(h, 16))
  return h % 0x100000000
end
