-- `kong.db.strategies.off.plugins`.

local by_ca = require "moongate.db.by_ca"

local M = {}

local function any(row)
  return row.config.ca_certificates
end

-- Names as one string or as a list.
local function only(plugin_names)
  local wanted = {}
  for _, name in ipairs(type(plugin_names) == "string" and { plugin_names } or plugin_names) do
    wanted[name] = true
  end
  return function(row)
    return wanted[row.name] and row.config.ca_certificates
  end
end

--- The plugins whose configuration names a CA certificate.
function M:select_by_ca_certificate(ca_id, limit, plugin_names)
  by_ca.check(ca_id, limit)
  local kind = type(plugin_names)
  if kind ~= "nil" and kind ~= "string" and kind ~= "table" then
    error("the arg#3 `plugin_names` is invalid")
  end
  return by_ca.find(self, ca_id, limit, plugin_names and only(plugin_names) or any)
end

return M
