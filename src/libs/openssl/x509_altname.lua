--- `resty.openssl.x509.altname`: lists of general names.

local ops = require("moongate.ops").openssl
local name = require "resty.openssl.x509.name"
local list = require "moongate.openssl.list"
local wrap, istype, is_ctx = require("moongate.openssl.object").kind()

local setmetatable, tostring, type = setmetatable, tostring, type

local _M = { istype = istype }

-- what stands for a value of a kind in the lists that Rust makes
function _M._value(kind, v)
  if kind == "DirName" then
    return name._from(ops.name_read(v))
  end
  return v
end

local function count(self)
  return #ops.names_list(self.ctx.id) / 2
end

local mt = list.mt(_M, count, function(self, i)
  local all = ops.names_list(self.ctx.id)
  local kind = all[2 * i - 1]
  return kind and { kind, _M._value(kind, all[2 * i]) } or nil
end)

--- An iterator of kinds and values.
local function each(self)
  local all = ops.names_list(self.ctx.id)
  local i = -1
  return function()
    i = i + 2
    local kind = all[i]
    if kind then
      return kind, _M._value(kind, all[i + 1])
    end
  end
end
mt.__pairs, _M.each = each, each

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

--- From an extension's bytes; nil and why.
function _M._read(der)
  local id, err = ops.names_new(der)
  return _M._from(id), err
end

--- The bytes of an extension.
function _M._write(self)
  return ops.names_write(self.ctx.id)
end

--- Why kind and text are none of a name; nil when they may be.
function _M._judge(kind, value)
  if type(kind) ~= "string" then
    return "x509.altname:gn_set: expect a string at #1"
  elseif type(value) ~= "string" then
    return "x509.altname:gn_set: except a string at #2"
  end
end

--- Adds a name: "DNS", "IP", "email" or "URI", and its text.
function _M:add(kind, value)
  local err = _M._judge(kind, value)
  if err then
    return nil, err
  end
  local ok
  ok, err = ops.names_add(self.ctx.id, kind, value)
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
