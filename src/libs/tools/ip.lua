-- `kong.tools.ip`: addresses and host names.

local ops = require("moongate.ops").libs

local find, format, gsub, lower, match, rep, sub =
  string.find, string.format, string.gsub, string.lower, string.match, string.rep, string.sub
local tonumber, tostring, type = tonumber, tostring, type

local M = {}

-- === addresses ===

local function is_ipv4(value)
  return ops.ip_kind(value) == "ipv4"
end

-- With or without brackets.
local function is_ipv6(value)
  return ops.ip_kind(match(value, "^%[(.*)%]$") or value) == "ipv6"
end

local function is_address(value)
  return is_ipv4(value) or is_ipv6(value)
end

local function cidr(is_valid, bits)
  local prefixes = {}
  for n = 0, bits do
    prefixes[tostring(n)] = true
  end
  return function(value)
    local slash = find(value, "/", 1, true)
    return slash ~= nil and prefixes[sub(value, slash + 1)] == true and is_valid(sub(value, 1, slash - 1))
  end
end

local is_cidr_v4 = cidr(is_ipv4, 32)
local is_cidr_v6 = cidr(is_ipv6, 128)

local function of_text(one, other)
  return function(value)
    return type(value) == "string" and (one(value) or other ~= nil and other(value))
  end
end

M.is_valid_ipv4 = of_text(is_ipv4)
M.is_valid_ipv6 = of_text(is_ipv6)
M.is_valid_ip = of_text(is_ipv4, is_ipv6)
M.is_valid_cidr_v4 = of_text(is_cidr_v4)
M.is_valid_cidr_v6 = of_text(is_cidr_v6)
M.is_valid_cidr = of_text(is_cidr_v4, is_cidr_v6)
M.is_valid_ip_or_cidr_v4 = of_text(is_ipv4, is_cidr_v4)
M.is_valid_ip_or_cidr_v6 = of_text(is_ipv6, is_cidr_v6)
M.is_valid_ip_or_cidr = of_text(is_address, of_text(is_cidr_v4, is_cidr_v6))

-- === hosts ===

--- "ipv6" with two colons or more, "ipv4" of only digits and dots, else "name".
local function hostname_type(name)
  local colon = find(name, ":", 1, true)
  if colon and find(name, ":", colon + 1, true) then
    return "ipv6"
  end
  return find(name, "^[%d.]*:?[%d.]*$") and find(name, "[%d.]") and "ipv4" or "name"
end
M.hostname_type = hostname_type

-- The port that digits name, or nil and why.
local function port_of(digits)
  local port = tonumber(digits)
  if port > 65535 then
    return nil, "invalid port number"
  end
  return port
end

--- Address and port of `a.b.c.d[:port]`, without leading zeros.
function M.normalize_ipv4(address)
  local a, b, c, d, rest = match(address, "^(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)(.*)$")
  local digits = a and rest ~= "" and match(rest, "^:(%d+)$")
  if not a or (rest ~= "" and not digits) then
    return nil, "invalid ipv4 address: " .. address
  end
  a, b, c, d = tonumber(a), tonumber(b), tonumber(c), tonumber(d)
  if a > 255 or b > 255 or c > 255 or d > 255 then
    return nil, "invalid ipv4 address: " .. address
  end
  local port, err
  if digits then
    port, err = port_of(digits)
    if err then
      return nil, err
    end
  end
  return format("%d.%d.%d.%d", a, b, c, d), port
end

local GROUPS = "^" .. rep("(%x%x?%x?%x?):", 7) .. "(%x%x?%x?%x?)$"

local function eight(a, b, c, d, e, f, g, h)
  if not a then
    return nil
  end
  -- %4s pads with blanks, and no group has any.
  return lower((gsub(format("%4s:%4s:%4s:%4s:%4s:%4s:%4s:%4s", a, b, c, d, e, f, g, h), " ", "0")))
end

--- Address (all eight groups, lower case) and port of an IPv6 address, maybe `[in brackets]:port`.
function M.normalize_ipv6(address)
  local groups, port = address, nil
  local inside, after = match(address, "^(%b[])(.-)$")
  if inside then
    groups = sub(inside, 2, -2)
    if after ~= "" then
      local digits = match(after, "^:(%d+)$")
      if not digits then
        return nil, "invalid ipv6 address"
      end
      local err
      port, err = port_of(digits)
      if err then
        return nil, err
      end
    end
  end
  if sub(groups, 1, 1) == ":" then
    groups = "0" .. groups
  end
  if sub(groups, -1) == ":" then
    groups = groups .. "0"
  end
  if find(groups, "::", 1, true) then
    local _, colons = gsub(groups, ":", "")
    groups = gsub(groups, "::", ":" .. rep("0:", 8 - colons), 1)
  end
  local full = eight(match(groups, GROUPS))
  if not full then
    return nil, "invalid ipv6 address: " .. address
  end
  return full, port
end

--- Name and port of `name[:port]`.
function M.check_hostname(address)
  local name, port = address, nil
  if find(address, ":", 1, true) then
    local digits = match(address, ":(%d+)$")
    if digits then
      local err
      port, err = port_of(digits)
      if err then
        return nil, err
      end
      name = sub(address, 1, -#digits - 2)
    end
  end
  -- A label is not empty and ends in no dash; one dot may follow the last.
  if not find(name, "^[%w_-][%w._-]*$") or find(name, "..", 1, true) or find(name, "-.", 1, true)
    or sub(name, -1) == "-"
  then
    return nil, "invalid hostname: " .. address
  end
  return name, port
end

local parsers = { ipv4 = M.normalize_ipv4, ipv6 = M.normalize_ipv6, name = M.check_hostname }

--- Kind ("ipv4", "ipv6", "name"), host and port (or nil) of an address or name; nil and why.
function M.parse_host(address)
  local kind = hostname_type(address)
  local host, port = parsers[kind](address)
  if not host then
    return nil, port
  end
  return kind, host, port
end

--- `{type, host, port}` of an address or name; nil and why.
function M.normalize_ip(address)
  local kind, host, port = M.parse_host(address)
  if not kind then
    return nil, host
  end
  return { type = kind, host = host, port = port }
end

--- Host and port as a URL has them; takes what `normalize_ip` gives, or host and port.
function M.format_host(p1, p2)
  if p1 == nil then
    return p1, p2
  end
  local host, port, kind = p1, p2, nil
  if type(p1) == "table" then
    host, port, kind = p1.host, p1.port or p2, p1.type
  elseif type(p1) ~= "string" then
    return nil, "cannot format type '" .. type(p1) .. "'"
  end
  kind = kind or hostname_type(host)
  if kind == "ipv6" and not find(host, "[", 1, true) then
    host = "[" .. M.normalize_ipv6(host) .. "]"
  end
  return port and host .. ":" .. port or host
end

return M
