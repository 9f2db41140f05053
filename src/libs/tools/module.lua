-- `kong.tools.module`: modules that may not be there.

local M = {}

--- true and the module; false and why if it is not installed. One that fails to load raises.
function M.load_module_if_exists(name)
  local ok, found = pcall(require, name)
  if ok then
    return true, found
  end
  found = tostring(found)
  if found:find("module '" .. name .. "' not found", 1, true) then
    return false, found
  end
  error("error loading module '" .. name .. "':\n" .. found, 2)
end

return M
