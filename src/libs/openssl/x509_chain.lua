--- `resty.openssl.x509.chain`: certificates in order.

local ops = require("moongate.ops").openssl
local x509 = require "resty.openssl.x509"
local list = require "moongate.openssl.list"
local object = require "moongate.openssl.object"
local wrap, istype, is_ctx = object.kind()

local setmetatable, type = setmetatable, type

local _M = { istype = istype }

local function count(self)
  return ops.certs_get(self.ctx.id)
end

local mt = list.mt(_M, count, function(self, i)
  return x509._from(ops.certs_get(self.ctx.id, i))
end)

--- A chain from its number in Rust (nil stays nil).
function _M._from(id)
  return id and setmetatable({ ctx = wrap(id) }, mt)
end

--- A chain with nothing in it.
function _M.new()
  return _M._from(ops.certs_new())
end

--- A copy of the chain behind a `ctx`, or behind an `OPENSSL_STACK *` to what `ngx.ssl` parsed.
function _M.dup(ctx)
  local id = is_ctx(ctx) and ctx.id or object.behind(ctx, object.STACK)
  local copy = id and ops.certs_dup(id)
  if not copy then
    return nil, "x509.chain.dup: expect a stack ctx at #1, got " .. type(ctx)
  end
  return _M._from(copy)
end

--- Adds a certificate at the end.
function _M:add(cert)
  if not x509.istype(cert) then
    return nil, "x509.chain:add: expect a x509 instance at #1"
  end
  return ops.certs_add(self.ctx.id, cert.ctx.id)
end

return _M
