-- `kong.db.declarative.export`: entities written as a declarative file.

local lyaml = require "lyaml"
local topological_sort = require "kong.db.schema.topological_sort"

local null = ngx.null
local assert, pairs, pcall, type = assert, pairs, pcall, type

local M = {}

--- Puts one value for another, all the way down, in place.
local function convert_nulls(tbl, from, to)
  for k, v in pairs(tbl) do
    if v == from then
      tbl[k] = to
    elseif type(v) == "table" then
      convert_nulls(v, from, to)
    end
  end
  return tbl
end

M.convert_nulls = convert_nulls

--- A table as YAML without the marks around a document; nil and an error.
function M.to_yaml_string(tbl)
  convert_nulls(tbl, null, lyaml.null)
  local ok, yaml = pcall(lyaml.dump, { tbl })
  if not ok then
    return nil, yaml
  end
  return yaml:sub(5, -5)
end

--- Writes a table to a file as YAML: true, or nil and an error.
function M.to_yaml_file(entities, filename)
  local yaml, err = M.to_yaml_string(entities)
  if not yaml then
    return nil, err
  end
  local file
  file, err = io.open(filename, "w")
  if not file then
    return nil, err
  end
  local ok
  ok, err = file:write(yaml)
  file:close()
  if not ok then
    return nil, err
  end
  return true
end

local function schemas_of(db, skip_ws)
  local schemas = {}
  for _, dao in pairs(db.daos) do
    if not (skip_ws and dao.schema.name == "workspaces") and dao.schema.db_export ~= false then
      schemas[#schemas + 1] = dao.schema
    end
  end
  return topological_sort(schemas)
end

local function foreign_fields(schema)
  local names = {}
  for name, field in schema:each_field() do
    if field.type == "foreign" then
      names[#names + 1] = name
    end
  end
  return names
end

-- Whether a row is left out since it, or what it belongs to, is disabled; what is left out is kept in `gone`.
local function is_disabled(name, row, fields, gone)
  if (name == "services" or name == "plugins") and row.enabled == false then
    gone[row.id] = true
    return true
  end
  for i = 1, #fields do
    local foreign = row[fields[i]]
    if type(foreign) == "table" and gone[foreign.id] then
      gone[row.id] = true
      return true
    end
  end
  return false
end

local function export(emitter, skip_ws, skip_disabled)
  local db = kong.db
  local schemas, err = schemas_of(db, skip_ws)
  if not schemas then
    return nil, err
  end
  emitter:emit_toplevel({ _format_version = "3.0", _transform = false })

  local gone = {}
  for _, schema in ipairs(schemas) do
    local name = schema.name
    local fields = foreign_fields(schema)
    local dao = db[name]
    local size = dao.pagination and dao.pagination.max_page_size
    for row, row_err in dao:each_for_export(size, { nulls = true, workspace = null }) do
      if not row then
        kong.log.err(row_err)
        return nil, row_err
      end
      if not (skip_disabled and is_disabled(name, row, fields, gone)) then
        for i = 1, #fields do
          local foreign = row[fields[i]]
          if type(foreign) == "table" and foreign.id ~= nil then
            row[fields[i]] = foreign.id
          end
        end
        emitter:emit_entity(name, row)
      end
    end
  end
  return emitter:done()
end

local to_file = {}
to_file.__index = to_file

function to_file:emit_toplevel(tbl)
  self.fd:write(M.to_yaml_string(tbl))
end

function to_file:emit_entity(name, row)
  local yaml = assert(M.to_yaml_string({ [name] = { row } }))
  if name == self.current then
    yaml = assert(yaml:match("^[^\n]+\n(.+)$"))
  end
  self.fd:write(yaml)
  self.current = name
end

function to_file:done()
  return true
end

local to_table = {}
to_table.__index = to_table

function to_table:emit_toplevel(tbl)
  self.out = tbl
end

function to_table:emit_entity(name, row)
  local rows = self.out[name]
  if rows then
    rows[#rows + 1] = row
  else
    self.out[name] = { row }
  end
end

function to_table:done()
  return self.out
end

--- Writes all entities to `fd` (anything with `write`), without workspaces unless told otherwise.
function M.export_from_db(fd, skip_ws, skip_disabled)
  return export(setmetatable({ fd = fd }, to_file), skip_ws == nil or skip_ws, skip_disabled or false)
end

--- All entities as the table of a file, without what is disabled unless told otherwise.
function M.export_config(skip_ws, skip_disabled)
  return export(setmetatable({}, to_table), skip_ws or false, skip_disabled == nil or skip_disabled)
end

for _, name in ipairs { "export_config_proto", "export_config_sync" } do
  M[name] = function()
    error("not supported: kong.db.declarative." .. name, 2)
  end
end

--- Takes out what is the gateway's own: workspaces, and every entity's.
function M.sanitize_output(entities)
  entities.workspaces = nil
  for _, rows in pairs(entities) do
    for _, row in pairs(rows) do
      row.ws_id = nil
    end
  end
end

return M
