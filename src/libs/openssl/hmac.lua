--- `resty.openssl.hmac`.

local ops = require("moongate.ops").openssl
local digest = require "resty.openssl.digest"
local wrap, istype = require("moongate.openssl.object").kind()

local setmetatable, tostring = setmetatable, tostring

local _M = {
  istype = istype,
  update = digest.update,
  reset = digest.reset,
}
local mt = { __index = _M }

--- An HMAC under `key` by the digest's name (sha1 without one).
function _M.new(key, name)
  name = name or "sha1"
  local ctx = wrap(ops.hmac_new(name, tostring(key)))
  if not ctx then
    return nil, ('hmac.new: invalid digest type "%s"'):format(tostring(name))
  end
  return setmetatable({ ctx = ctx, algo = name }, mt)
end

--- The HMAC of all that was taken in, `s` last.
_M.final = digest._final "hmac:final: HMAC_Final failed"

return _M
