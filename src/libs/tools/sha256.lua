-- `kong.tools.sha256`: digests in the writings plugins want.

local ops = require("moongate.ops").libs

local function digest(write)
  return function(text)
    if type(text) ~= "string" then
      return nil, "bad argument: string expected, got " .. type(text)
    end
    return write(ops.digest("sha256", text))
  end
end

return {
  sha256_bin = digest(function(bin) return bin end),
  sha256_hex = digest(ops.hex),
  sha256_base64 = digest(ops.base64),
  sha256_base64url = digest(ops.base64url),
}
