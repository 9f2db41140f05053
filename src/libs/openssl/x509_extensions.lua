--- `resty.openssl.x509.extensions`: extensions in order.

local extension = require "resty.openssl.x509.extension"
local list = require "moongate.openssl.list"

local rawget, setmetatable, type = rawget, setmetatable, type

local _M = {}

local function count(self)
  return #self.ctx
end

local mt = list.mt(_M, count, function(self, i)
  local e = self.ctx[i]
  return e and extension.dup(e.ctx)
end)

--- Extensions that nobody else holds.
function _M._of(all)
  return setmetatable({ ctx = all, stack_of = "X509_EXTENSION" }, mt)
end

--- No extensions yet.
function _M.new()
  return _M._of({})
end

function _M.istype(v)
  return type(v) == "table" and rawget(v, "stack_of") == "X509_EXTENSION" and type(v.ctx) == "table"
end

--- A copy of the list behind a `ctx`.
function _M.dup(ctx)
  if type(ctx) ~= "table" then
    return nil, "x509.extensions.dup: expect a stack ctx at #1, got " .. type(ctx)
  end
  local copy = _M.new()
  for i, e in ipairs(ctx) do
    copy.ctx[i] = extension.dup(e.ctx)
  end
  return copy
end

--- Adds a copy of an extension at the end.
function _M:add(e)
  if not extension.istype(e) then
    return nil, "expect a x509.extension instance at #1"
  end
  self.ctx[#self.ctx + 1] = extension.dup(e.ctx)
  return true
end

return _M
