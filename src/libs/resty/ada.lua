-- `resty.ada`: URLs as browsers read them. An object holds the canonical text; setters answer the object, getters
-- a part of it.

local ops = require("moongate.ops").ada
local parse, get, set = ops.parse, ops.get, ops.set

local type, error, setmetatable, tostring = type, error, setmetatable, tostring

local URL = {}
URL.__index = URL

function URL:__tostring()
  return self.href
end

function URL:__len()
  return #self.href
end

local function compared(a, b)
  return type(a) == "table" and a.href or tostring(a), type(b) == "table" and b.href or tostring(b)
end

function URL.__eq(a, b)
  a, b = compared(a, b)
  return a == b
end

function URL.__lt(a, b)
  a, b = compared(a, b)
  return a < b
end

function URL.__le(a, b)
  a, b = compared(a, b)
  return a <= b
end

function URL:get_href()
  return self.href
end

function URL:is_valid()
  return self.href ~= nil
end

local function checked(value, name)
  if type(value) ~= "string" then
    error("bad argument #1 to '" .. name .. "' (string expected, got " .. type(value) .. ")", 3)
  end
  return value
end

for _, part in ipairs {
  "origin", "protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "hash",
} do
  URL["get_" .. part] = function(self)
    return get(self.href, part)
  end
  URL["has_" .. part] = function(self)
    return get(self.href, part) ~= ""
  end
  if part ~= "origin" then
    local name = "set_" .. part
    URL[name] = function(self, value)
      local href = set(self.href, part, checked(tostring(value == nil and "" or value), name))
      if not href then
        return nil, "unable to set " .. part
      end
      self.href = href
      return self
    end
  end
end

URL.has_origin = nil

--- "" for a name, else the kind of address: 0 a name, 1 IPv4, 2 IPv6.
function URL:get_host_type()
  return get(self.href, "host_type")
end

for _, part in ipairs { "port", "search", "hash" } do
  URL["clear_" .. part] = function(self)
    self.href = set(self.href, part, "") or self.href
    return self
  end
end

function URL:set_href(href)
  local canonical = parse(checked(href, "set_href"))
  if not canonical then
    return nil, "unable to set href"
  end
  self.href = canonical
  return self
end

local M = {}

--- The object of a URL; nil and "invalid url".
function M.parse(url)
  local href = parse(checked(url, "parse"))
  if not href then
    return nil, "invalid url"
  end
  return setmetatable({ href = href }, URL)
end

--- The same of one relative to `base`.
function M.parse_with_base(url, base)
  local href = parse(checked(url, "parse_with_base"), base)
  if not href then
    return nil, "invalid url or base"
  end
  return setmetatable({ href = href }, URL)
end

function M.can_parse(url, base)
  return parse(checked(url, "can_parse"), base) ~= nil
end

M.can_parse_with_base = M.can_parse

-- url:get_host() as M.get_host(url), and so on
for name, method in pairs(URL) do
  if name:find("^[gshc][eal]%a+_") and not name:find("^__") and not M[name] then
    M[name] = function(url, ...)
      local object, err = M.parse(url)
      if not object then
        return nil, err
      end
      local result, failed = method(object, ...)
      if result == object then
        return object.href
      end
      return result, failed
    end
  end
end

return M
