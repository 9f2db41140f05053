--- `resty.openssl.rand`: random bytes from the system.

local random_bytes = require("moongate.ops").libs.random_bytes

return {
  --- `length` random bytes.
  bytes = function(length, _, strength)
    if type(length) ~= "number" then
      return nil, "rand.bytes: expect a number at #1"
    elseif strength and type(strength) ~= "number" then
      return nil, "rand.bytes: expect a number at #3"
    end
    local bytes = random_bytes(length)
    if not bytes then
      return nil, "rand.bytes: code: 0"
    end
    return bytes
  end,
}
