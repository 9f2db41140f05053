-- `kong.db.dao.tags`: what is tagged; read only.

local cjson = require "cjson"

local M = {}

--- A page of { tag, entity_name, entity_id } of one tag.
function M:page_by_tag(tag, size, offset, options)
  local ok, err = self.schema:validate_field(self.schema.fields.tag, tag)
  if not ok then
    local err_t = self.errors:invalid_unique("tag", err)
    return nil, tostring(err_t), err_t
  end
  local rows, err_t
  rows, err_t, offset = self.strategy:page_by_tag(tag, size, offset, options)
  if err_t then
    return rows, tostring(err_t), err_t
  end
  if type(rows) == "table" then
    setmetatable(rows, cjson.array_mt)
  end
  return rows, nil, nil, offset
end

local function refuse(self)
  local err_t = self.errors:schema_violation({
    tags = "does not support insert/upsert/update/delete operations",
  })
  return nil, tostring(err_t), err_t
end

for _, name in ipairs { "insert", "update", "upsert", "delete" } do
  M[name] = refuse
end

return M
