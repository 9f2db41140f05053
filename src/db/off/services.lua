-- `kong.db.strategies.off.services`.

local by_ca = require "moongate.db.by_ca"

local M = {}

local function list_of(row)
  return row.ca_certificates
end

--- The services that trust a CA certificate.
function M:select_by_ca_certificate(ca_id, limit)
  by_ca.check(ca_id, limit)
  return by_ca.find(self, ca_id, limit, list_of)
end

return M
