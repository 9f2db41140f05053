--- `resty.openssl.x509.altname`: lists of general names.

local ops = require("moongate.ops").openssl
local name = require "resty.openssl.x509.name"
local wrap, istype, is_ctx = require("moongate.openssl.object").kind()

local setmetatable, tostring, type = setmetatable, tostring, type

local _M = { istype = istype }

local function list(self)
  return ops.names_list(self.ctx.id)
end

local function value_of(kind, v)
  if kind == "DirName" then
    return name._from(v)
  end
  return v
end

local function each(self)
  local all = list(self)
  local i = -1
  return function()
    i = i + 2
    local kind = all[i]
    if kind then
      return kind, value_of(kind, all[i + 1])
    end
  end
end

local mt = {
  __pairs = each,
  __ipairs = each,
  __len = function(self)
    return #list(self) / 2
  end,
  __index = function(self, k)
    if type(k) ~= "number" then
      return _M[k]
    end
    local all = list(self)
    local kind = all[2 * k - 1]
    return kind and { kind, value_of(kind, all[2 * k]) } or nil
  end,
}

--- A list from its number in Rust (nil stays nil).
function _M._from(id)
  return id and setmetatable({ ctx = wrap(id) }, mt)
end

--- A list with nothing in it.
function _M.new()
  return _M._from(ops.names_new())
end

--- A copy of the list behind a `ctx`.
function _M.dup(ctx)
  if not is_ctx(ctx) then
    return nil, "x509.altname.dup: expect a GENERAL_NAMES* ctx at #1"
  end
  return _M._from(ops.names_dup(ctx.id))
end

--- Adds a name: "DNS", "IP", "email" or "URI", and its text.
function _M:add(kind, value)
  if type(kind) ~= "string" then
    return nil, "x509.altname:gn_set: expect a string at #1"
  elseif type(value) ~= "string" then
    return nil, "x509.altname:gn_set: except a string at #2"
  end
  local ok, err = ops.names_add(self.ctx.id, kind, value)
  if not ok then
    return nil, "x509.altname:gn_set: " .. err
  end
  return self
end

--- All names by kind (the last one of each).
function _M:all()
  local all = {}
  for kind, v in each(self) do
    all[kind] = v
  end
  return all
end

_M.each = each
_M.index = mt.__index
_M.count = mt.__len

--- `kind=value` of each name, sorted, with slashes between.
function _M:tostring()
  local values = {}
  for kind, v in each(self) do
    values[#values + 1] = kind .. "=" .. tostring(v)
  end
  table.sort(values)
  return table.concat(values, "/")
end
mt.__tostring = _M.tostring

return _M
