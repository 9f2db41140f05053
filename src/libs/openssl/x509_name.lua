--- `resty.openssl.x509.name`: distinguished names.

local ops = require("moongate.ops").openssl
local wrap, istype, is_ctx = require("moongate.openssl.object").kind()

local ipairs, setmetatable, type = ipairs, setmetatable, type

local _M = { istype = istype }

local function each(self)
  local entries = ops.name_entries(self.ctx.id)
  local i = 0
  return function()
    i = i + 1
    local e = entries[i]
    if e then
      return e.sn, e
    end
  end
end

local mt = {
  __index = _M,
  __pairs = each,
  __len = function(self)
    return #ops.name_entries(self.ctx.id)
  end,
}

--- A name from its number in Rust (nil stays nil).
function _M._from(id)
  return id and setmetatable({ ctx = wrap(id) }, mt)
end

--- A name with nothing in it.
function _M.new()
  return _M._from(ops.name_empty())
end

--- A copy of the name behind a `ctx`.
function _M.dup(ctx)
  if not is_ctx(ctx) then
    return nil, "x509.name.dup: expect a x509.name ctx at #1, got " .. type(ctx)
  end
  return _M._from(ops.name_dup(ctx.id))
end

--- Adds an attribute; the name itself, or nil and why.
function _M:add(attribute, text)
  local ok, err = ops.name_add(self.ctx.id, attribute, text)
  if ok then
    return self
  elseif err == "invalid NID text" then
    return nil, "x509.name:add: invalid NID text " .. (attribute or "nil")
  end
  return nil, "x509.name:add: " .. err
end

--- The first attribute of a kind after `last_pos`: its table and its place.
function _M:find(attribute, last_pos)
  local wanted = type(attribute) == "string" and ops.object(attribute)
  if not wanted then
    return nil, nil, "x509.name:find: invalid NID text " .. (attribute or "nil")
  end
  local entries = ops.name_entries(self.ctx.id)
  for i = (last_pos or 0) + 1, #entries do
    if entries[i].id == wanted.id then
      return entries[i], i
    end
  end
end

--- All attributes by short name (the last one of each).
function _M:all()
  local all = {}
  for _, e in ipairs(ops.name_entries(self.ctx.id)) do
    all[e.sn] = e
  end
  return all
end

--- An iterator of short names and tables, in order.
_M.each = each

--- `name=value` of each attribute, sorted, with slashes between.
function _M:tostring()
  local values = {}
  for i, e in ipairs(ops.name_entries(self.ctx.id)) do
    values[i] = e.sn .. "=" .. e.blob
  end
  table.sort(values)
  return table.concat(values, "/")
end
mt.__tostring = _M.tostring

return _M
