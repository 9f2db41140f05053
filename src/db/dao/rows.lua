-- Rows of a strategy as entities: transformed, completed, without nulls.

local array_mt = require("cjson").array_mt
local checked = require "moongate.db.dao.options"

local setmetatable, tostring, type = setmetatable, tostring, type
local new_tab = require "table.new"
local null = ngx.null

local M = {}

-- Options of the engine for rows of a sparse strategy: what is absent is unset, and gets no default.
local SPARSE = { no_defaults = true }

local function engine_options(self, options)
  if self.strategy.sparse ~= true then
    return options
  elseif options == nil then
    return SPARSE
  end
  return {
    no_defaults = true,
    show_ws_id = options.show_ws_id,
    hide_shorthands = options.hide_shorthands,
  }
end

-- A row as an entity; the options have been judged, `engine` is what the engine gets of them.
local function entity_of(self, row, options, engine)
  local schema = self.schema
  local nulls = options ~= nil and options.nulls or nil
  local ws_id = row.ws_id

  if (options == nil or options.transform ~= false) and (schema.transformations or schema.subschema_key) then
    local transformed, err = schema:transform(row, nil, "select")
    if not transformed then
      local err_t = self.errors:transformation_error(err)
      return nil, tostring(err_t), err_t
    end
    row = transformed
  end

  local entity, errors = schema:process_auto_fields(row, "select", nulls, engine)
  if not entity then
    local err_t = self.errors:schema_violation(errors)
    return nil, tostring(err_t), err_t
  end

  if options ~= nil and options.show_ws_id and schema.workspaceable then
    if ws_id == nil or ws_id == null then
      ws_id = kong.default_workspace
    end
    entity.ws_id = ws_id
  end
  return entity
end

--- A row as an entity: the method `row_to_entity`.
function M.row_to_entity(self, row, options)
  checked.want_options(options)
  local ok, err, err_t = checked.accept(self, options)
  if not ok then
    return nil, err, err_t
  end
  return entity_of(self, row, options, engine_options(self, options))
end

--- The same inside a DAO, where options have been judged before. A DAO with its own way is asked.
function M.convert(self, row, options)
  local own = self.row_to_entity
  if own == M.row_to_entity then
    return entity_of(self, row, options, engine_options(self, options))
  end
  return own(self, row, options)
end

--- A list of rows as a list of entities that encodes as an array: the method `rows_to_entities`.
function M.rows_to_entities(self, rows, options)
  local count = #rows
  if count == 0 then
    return setmetatable(rows, array_mt)
  end
  local own = self.row_to_entity
  local convert = own == M.row_to_entity and entity_of or own
  local engine = engine_options(self, options)
  local entities = new_tab(count, 0)
  for i = 1, count do
    local entity, err, err_t = convert(self, rows[i], options, engine)
    if not entity then
      return nil, err, err_t
    end
    entities[i] = entity
  end
  return setmetatable(entities, array_mt)
end

return M
