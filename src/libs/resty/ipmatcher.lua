-- `resty.ipmatcher`: which of many addresses and networks an address is in. Networks are in one hash per length
-- of prefix, the longest asked first, so that a match costs as many look-ups as there are lengths.

local ip_bytes = require("moongate.ops").libs.ip_bytes
local band, lshift = bit.band, bit.lshift
local byte, char, sub, find = string.byte, string.char, string.sub, string.find

local M = { _VERSION = 0.3 }
local mt = { __index = M }

local function word(bytes, at)
  local a, b, c, d = byte(bytes, at, at + 3)
  return a * 16777216 + b * 65536 + c * 256 + d
end

local function unbracketed(ip)
  if byte(ip, 1) == 91 and byte(ip, #ip) == 93 then
    return sub(ip, 2, -2)
  end
  return ip
end

--- An IPv4 address as a number; false if it is none.
function M.parse_ipv4(ip)
  local bytes = ip and ip_bytes(ip)
  return bytes and #bytes == 4 and word(bytes, 1) or false
end

--- An IPv6 address, with or without brackets, as four numbers; false if it is none.
function M.parse_ipv6(ip)
  local bytes = ip and ip_bytes(unbracketed(ip))
  if not bytes or #bytes ~= 16 then
    return false
  end
  return { word(bytes, 1), word(bytes, 5), word(bytes, 9), word(bytes, 13) }
end

--- The address, and the length of the prefix if there is one.
function M.split_ip(text)
  local at = find(text, "/", 1, true)
  if not at then
    return text
  end
  return sub(text, 1, at - 1), tonumber(sub(text, at + 1))
end

-- The first `length` bits.
local function prefix(bytes, length)
  local whole = (length - length % 8) / 8
  local rest = length % 8
  if rest == 0 then
    return sub(bytes, 1, whole)
  end
  return sub(bytes, 1, whole) .. char(band(byte(bytes, whole + 1), lshift(255, 8 - rest)))
end

local function add(family, bytes, length, value)
  local networks = family[length]
  if not networks then
    networks = {}
    family[length] = networks
    local lengths = family.lengths
    lengths[#lengths + 1] = length
    table.sort(lengths, function(a, b) return a > b end)
  end
  networks[prefix(bytes, length)] = value
end

local function build(ips, pairs_of, entry)
  if type(ips) ~= "table" then
    error("missing valid ip argument", 3)
  end
  local self = setmetatable({ [4] = { lengths = {} }, [16] = { lengths = {} } }, mt)
  for k, v in pairs_of(ips) do
    local text, value = entry(k, v)
    local address, length = M.split_ip(text)
    local bytes = ip_bytes(unbracketed(address))
    local bits = bytes and #bytes * 8
    if not bytes or length and (length < 0 or length > bits or length % 1 ~= 0) then
      return nil, "invalid ip address: " .. (bytes and text or address)
    end
    add(self[#bytes], bytes, length or bits, value)
  end
  return self
end

--- A matcher for a list of addresses and networks; nil and an error.
function M.new(ips)
  return build(ips, ipairs, function(_, text) return text, true end)
end

--- As `new`, for a table from address or network to what `match` is to return.
function M.new_with_value(ips)
  return build(ips, pairs, function(text, value) return text, value end)
end

local function search(family, bytes)
  local lengths = family.lengths
  for i = 1, #lengths do
    local length = lengths[i]
    local value = family[length][prefix(bytes, length)]
    if value ~= nil then
      return value
    end
  end
  return false
end

--- The value of the narrowest network an address is in; false if it is in none, or false and an error.
function M.match(self, ip)
  local bytes = ip and ip_bytes(unbracketed(ip))
  if not bytes then
    return false, "invalid ip address, not ipv4 and ipv6"
  end
  return search(self[#bytes], bytes)
end

--- As `match`, for an address as bytes (`$binary_remote_addr`).
function M.match_bin(self, bytes)
  local family = bytes and (#bytes == 4 or #bytes == 16) and self[#bytes]
  if not family then
    return false, "invalid ip address, not ipv4 and ipv6"
  end
  return search(family, bytes)
end

return M
