--- `resty.openssl.x509.revoked`: entries for revocation lists.

local ops = require("moongate.ops").openssl
local bn = require "resty.openssl.bn"
local wrap, istype = require("moongate.openssl.object").kind()

local setmetatable, type = setmetatable, type

local _M = { istype = istype }
local mt = { __index = _M }

--- An entry: the serial number (a number or a bn), when it was revoked, and OpenSSL's number of the reason.
function _M.new(sn, time, reason)
  if type(sn) == "number" then
    sn = bn.new(sn)
  end
  if not bn.istype(sn) then
    return nil, "x509.revoked.new: sn should be number or a bn instance"
  elseif type(time) ~= "number" then
    return nil, "x509.revoked.new: expect a number at #2"
  elseif type(reason) ~= "number" then
    return nil, "x509.revoked.new: expect a number at #3"
  end
  local id = ops.revoked_new(sn:_to_integer(), time, reason)
  if not id then
    return nil, "x509.revoked.new: ASN1_ENUMERATED_set() failed"
  end
  return setmetatable({ ctx = wrap(id) }, mt)
end

return _M
