-- `kong.tools.utils`: the functions of the modules it was split into, for plugins that still ask here.

local M = {}

for _, name in ipairs { "table", "uuid", "rand", "time", "string", "ip", "http" } do
  for k, v in pairs(require("kong.tools." .. name)) do
    M[k] = v
  end
end

for _, name in ipairs { "timestamp", "module" } do
  for k, v in pairs(require("kong.tools." .. name)) do
    M[k] = M[k] or v
  end
end

return M
