-- kong.dns, which is also `kong.resty.dns.client`: names, looked up as the proxy does.

local ops = require("moongate.ops")
local op, take = ops["kong.dns"], ops.vm.take

local type, error, tostring, select, setmetatable = type, error, tostring, select, setmetatable

local dns = {
  TYPE_LAST = -1, TYPE_A = 1, TYPE_NS = 2, TYPE_CNAME = 5, TYPE_SOA = 6, TYPE_PTR = 12, TYPE_MX = 15, TYPE_TXT = 16,
  TYPE_AAAA = 28, TYPE_SRV = 33, TYPE_SPF = 99,
}

-- Results of an op that answers at once or waits.
local function done(...)
  if select("#", ...) == 0 then
    return take()
  end
  return ...
end

local tries_mt = {
  __tostring = function(self)
    return self.text
  end,
}

local function with_tries(first, second, text)
  return first, second, setmetatable({ text = text }, tries_mt)
end

-- Kong writes a name in small letters first; a number is one, too.
local function name_of(host)
  local kind = type(host)
  if kind == "string" then
    return host
  elseif kind == "number" then
    return tostring(host)
  end
  error("bad argument #1 to 'string_lower' (string expected, got " .. kind .. ")", 3)
end

--- The records of a name: of `options.qtype`, or of the first type of `dns_order` that has any. Where a handler may
-- not wait, and with `cache_only`, only what is known is given.
function dns.resolve(host, options, cache_only)
  return with_tries(done(op.resolve(name_of(host), options and options.qtype, cache_only)))
end

--- One address and its port: a service's (SRV) own, or the one given.
function dns.toip(host, port, cache_only)
  return with_tries(done(op.toip(name_of(host), port, cache_only)))
end

dns.individual_toip = dns.toip

function dns.connect(sock, host, port, options)
  local ip, at, tries = dns.toip(host, port)
  if not ip then
    return nil, tostring(at) .. ". Tried: " .. tostring(tries)
  end
  return sock:connect(ip, at, options)
end

function dns.setpeername(sock, host, port)
  if host:sub(1, 5) == "unix:" then
    return sock:setpeername(host)
  end
  local ip, at, tries = dns.toip(host, port)
  if not ip then
    return nil, tostring(at) .. ". Tried: " .. tostring(tries)
  end
  return sock:setpeername(ip, at)
end

for _, name in ipairs { "init", "stats" } do
  dns[name] = function()
    error("not supported: kong.dns." .. name, 2)
  end
end

package.loaded["kong.resty.dns.client"] = dns

return {
  new = function()
    return dns
  end,
}
