--- `resty.openssl.x509.extension.dist_points`: where revocation lists lie; of each point its full name.

local ops = require("moongate.ops").openssl
local altname = require "resty.openssl.x509.altname"
local list = require "moongate.openssl.list"
local wrap, istype, is_ctx = require("moongate.openssl.object").kind()

local setmetatable = setmetatable

local _M = { istype = istype }

local function count(self)
  return ops.points_get(self.ctx.id)
end

local mt = list.mt(_M, count, function(self, i)
  return altname._from(ops.points_get(self.ctx.id, i))
end)

local function from(id)
  return id and setmetatable({ ctx = wrap(id) }, mt)
end

--- From the extension's bytes; nil and why.
function _M._read(der)
  local id, err = ops.points_new(der)
  return from(id), err
end

--- The extension's bytes.
function _M._write(self)
  return ops.points_write(self.ctx.id)
end

--- With nothing in it.
function _M.new()
  return from(ops.points_new())
end

--- A copy of what is behind a `ctx`.
function _M.dup(ctx)
  if not is_ctx(ctx) then
    return nil, "expect a stack ctx at #1"
  end
  return from(ops.points_new(ops.points_write(ctx.id)))
end

return _M
