--- `resty.openssl.x509.extension.info_access`: where more about an issuer is.

local ops = require("moongate.ops").openssl
local altname = require "resty.openssl.x509.altname"
local list = require "moongate.openssl.list"
local wrap, istype, is_ctx = require("moongate.openssl.object").kind()

local setmetatable, unpack = setmetatable, unpack

local _M = { istype = istype }

local function count(self)
  return #ops.access_list(self.ctx.id) / 3
end

local mt = list.mt(_M, count, function(self, i)
  local all = ops.access_list(self.ctx.id)
  local kind = all[3 * i - 1]
  return kind and { all[3 * i - 2], kind, altname._value(kind, all[3 * i]) } or nil
end)

mt.__pairs = function(self)
  local next_of = mt.__ipairs(self)
  return function()
    local _, access = next_of()
    if access then
      return unpack(access, 1, 3)
    end
  end
end

local function from(id)
  return id and setmetatable({ ctx = wrap(id) }, mt)
end

--- From the extension's bytes; nil and why.
function _M._read(der)
  local id, err = ops.access_new(der)
  return from(id), err
end

--- The extension's bytes.
function _M._write(self)
  return ops.access_write(self.ctx.id)
end

--- With nothing in it.
function _M.new()
  return from(ops.access_new())
end

--- A copy of what is behind a `ctx`.
function _M.dup(ctx)
  if not is_ctx(ctx) then
    return nil, "expect a AUTHORITY_INFO_ACCESS* ctx at #1"
  end
  return from(ops.access_new(ops.access_write(ctx.id)))
end

--- Adds a place: the method ("OCSP", "caIssuers"), the kind of name and its text.
function _M:add(method, kind, value)
  if type(method) ~= "string" or not ops.object(method) then
    return nil, "invalid NID text " .. tostring(method or "nil")
  end
  local err = altname._judge(kind, value)
  if err then
    return nil, err
  end
  local ok
  ok, err = ops.access_add(self.ctx.id, ops.object(method).id, kind, value)
  if not ok then
    return nil, "x509.altname:gn_set: " .. err
  end
  return self
end

return _M
