-- `kong.db.dao.services`.

local M = {}

--- The services that trust a CA certificate; `limit` of them at most.
function M:select_by_ca_certificate(ca_id, limit)
  local rows, err = self.strategy:select_by_ca_certificate(ca_id, limit)
  if err then
    return nil, err
  end
  return self:rows_to_entities(rows)
end

return M
