-- `kong.tools.uuid`.

local ops = require("moongate.ops").libs

local M = {}

--- A random (version 4) UUID.
M.uuid = ops.uuid_v4

--- Whether a value is a UUID in its usual writing.
function M.is_valid_uuid(str)
  return type(str) == "string" and #str == 36
    and str:find("^%x%x%x%x%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$") ~= nil
end

return M
