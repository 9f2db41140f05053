-- `kong.tools.rand`: random bytes and strings from the system's generator.

local ops = require("moongate.ops").libs

local M = {}

--- `n` random bytes.
M.get_rand_bytes = ops.random_bytes

--- 32 random letters and digits.
function M.random_string()
  return (ops.base64(ops.random_bytes(24)):gsub("[/+]", function(c)
    local first = c == "/" and 65 or 97
    return string.char(first + ops.random_bytes(1):byte() % 26)
  end))
end

return M
