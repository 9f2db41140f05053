-- `kong.tools.ip`: addresses and host names.

local ops = require("moongate.ops").libs

local M = {}

local function is(kind)
  return function(value)
    return type(value) == "string" and ops.ip_kind(value) == kind
  end
end

local function cidr(valid, bits)
  return function(value)
    if type(value) ~= "string" then
      return false
    end
    local address, prefix = value:match("^([^/]+)/(%d%d?%d?)$")
    return address ~= nil and valid(address) and tonumber(prefix) <= bits and tostring(tonumber(prefix)) == prefix
  end
end

local function either(one, other)
  return function(value)
    return one(value) or other(value)
  end
end

M.is_valid_ipv4 = is "ipv4"
M.is_valid_ipv6 = is "ipv6"
M.is_valid_ip = either(M.is_valid_ipv4, M.is_valid_ipv6)
M.is_valid_cidr_v4 = cidr(M.is_valid_ipv4, 32)
M.is_valid_cidr_v6 = cidr(M.is_valid_ipv6, 128)
M.is_valid_cidr = either(M.is_valid_cidr_v4, M.is_valid_cidr_v6)
M.is_valid_ip_or_cidr_v4 = either(M.is_valid_ipv4, M.is_valid_cidr_v4)
M.is_valid_ip_or_cidr_v6 = either(M.is_valid_ipv6, M.is_valid_cidr_v6)
M.is_valid_ip_or_cidr = either(M.is_valid_ip, M.is_valid_cidr)

--- "ipv6" with two colons or more, "ipv4" of only digits and dots, else "name".
function M.hostname_type(name)
  local rest, colons = name:gsub(":", "")
  if colons > 1 then
    return "ipv6"
  end
  return rest:match("^[%d.]+$") and "ipv4" or "name"
end

local function port_of(text)
  if not text or text == "" then
    return nil
  end
  local port = tonumber(text)
  if port > 65535 then
    return nil, "invalid port number"
  end
  return port
end

--- Address and port of `a.b.c.d[:port]`.
function M.normalize_ipv4(address)
  local quad, port = address:match("^([%d.]+):(%d+)$")
  quad = quad or address
  local parts = { quad:match("^(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)$") }
  if #parts ~= 4 then
    return nil, "invalid ipv4 address: " .. address
  end
  for i, part in ipairs(parts) do
    parts[i] = tonumber(part)
    if parts[i] > 255 then
      return nil, "invalid ipv4 address: " .. address
    end
  end
  local number, err = port_of(port)
  if err then
    return nil, err
  end
  return table.concat(parts, "."), number
end

--- Address (all eight groups, lower case) and port of an IPv6 address, maybe `[in brackets]:port`.
function M.normalize_ipv6(address)
  local check, port = address, nil
  local inner, after = address:match("^%[(.*)%](.*)$")
  if inner then
    check = inner
    if after ~= "" then
      local digits = after:match("^:(%d+)$")
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
  local full = ops.ipv6_full(check)
  if not full then
    return nil, "invalid ipv6 address: " .. address
  end
  return full, port
end

--- Name and port of `name[:port]`.
function M.check_hostname(address)
  local name, digits = address:match("^(.*):(%d+)$")
  name = name or address
  local port, err = port_of(digits)
  if err then
    return nil, err
  end
  if not name:match("^[%w%-._]+$") or name:match("^%.") or name:match("%.%.") or name:match("%-%.")
    or name:match("%-$")
  then
    return nil, "invalid hostname: " .. address
  end
  return name, port
end

local normalize = { ipv4 = M.normalize_ipv4, ipv6 = M.normalize_ipv6, name = M.check_hostname }

--- `{type, host, port}` of an address or name.
function M.normalize_ip(address)
  local kind = M.hostname_type(address)
  local host, port = normalize[kind](address)
  if not host then
    return nil, port
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
  kind = kind or M.hostname_type(host)
  if kind == "ipv6" and not host:find("[", 1, true) then
    host = "[" .. M.normalize_ipv6(host) .. "]"
  end
  return host .. (port and ":" .. port or "")
end

return M
