-- What a DAO tells the rest of the gateway: that something was written, and what went with what was deleted.

local copy_of = require("kong.tools.table").cycle_aware_deep_copy

local pairs, type = pairs, type
local null = ngx.null

local M = {}

local function drop_nulls(t)
  for k, v in pairs(t) do
    if v == null then
      t[k] = nil
    elseif type(v) == "table" then
      drop_nulls(v)
    end
  end
  return t
end

local function plain(entity)
  return entity and drop_nulls(copy_of(entity, true))
end

--- Announces a "create", "update" or "delete" to this worker: the method `post_crud_event`.
function M.post_crud_event(self, operation, entity, old_entity, options)
  if not self.events or (options and options.no_broadcast_crud_event) then
    return
  end
  local ok, err = self.events.post_local("dao:crud", operation, {
    operation = operation,
    schema = self.schema,
    entity = plain(entity) or nil,
    old_entity = plain(old_entity) or nil,
  })
  if not ok then
    ngx.log(ngx.ERR, "[db] failed to propagate CRUD operation: ", err)
  end
end

local function collect(self, schema, entity, options, entries)
  local constraints = schema:get_constraints()
  if #constraints == 0 then
    return
  end
  local pk = self.schema:extract_pk_values(entity)
  for _, constraint in ipairs(constraints) do
    if constraint.on_delete == "cascade" then
      local dao = self.db.daos[constraint.schema.name]
      for row, err in dao["each_for_" .. constraint.field_name](dao, pk, nil, options) do
        if not row then
          ngx.log(ngx.ERR, "[db] failed to traverse entities for cascade-delete: ", err)
          break
        end
        entries[#entries + 1] = { dao = dao, entity = row }
        collect(self, constraint.schema, row, options, entries)
      end
    end
  end
end

--- What is deleted with `entity`: a list of { dao, entity }.
function M.cascade(self, entity, options)
  local entries = {}
  collect(self, self.schema, entity, options, entries)
  return entries
end

function M.tell_cascade(entries, options)
  for _, entry in ipairs(entries) do
    entry.dao:post_crud_event("delete", entry.entity, nil, options)
  end
end

return M
