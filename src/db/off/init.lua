-- `kong.db.strategies.off`: rows from the immutable snapshot, by the ops of room `db`; writes are refused.
--
-- Rows come as tables of their own with unset fields absent; here they get null for each field of the entity,
-- as rows of Kong have. Fields of records inside are left absent: `sparse` tells the DAO not to put defaults
-- there.

local constants = require "kong.constants"
local workspaces = require "kong.workspaces"
local ops = require "moongate.ops"
local decode = require("cjson.safe").new().decode
local pk_string = require "moongate.db.declarative.pk"

local type, tonumber, tostring, next = type, tonumber, tostring, next
local encode_base64, decode_base64 = ngx.encode_base64, ngx.decode_base64
local now = ngx.time
local null = ngx.null
local fmt = string.format

local Strategy = { sparse = true }
Strategy.__index = Strategy

-- The configuration belongs to the default workspace; whether it is the one that is asked for.
local function in_workspace(self, options)
  local ws_id
  if self.schema.workspaceable then
    ws_id = options and options.workspace
    if ws_id == nil or ws_id == false or ws_id == "" then
      ws_id = workspaces.get_workspace_id()
    end
  end
  return ws_id == nil or ws_id == null or ws_id == kong.default_workspace
end

-- A row, given as a table or as JSON text, as Kong's rows are; nil when its time is over. `ttl` of a row is the
-- moment of its end.
local function row_of(self, row)
  if not row then
    return nil
  elseif type(row) == "string" then
    row = decode(row)
  end
  if self.schema.ttl then
    local ttl = row.ttl
    if ttl and ttl ~= null then
      local left = ttl - now()
      if left <= 0 then
        return nil
      end
      row.ttl = left
    end
  end
  local nullable = self.nullable
  for i = 1, #nullable do
    local name = nullable[i]
    if row[name] == nil then
      row[name] = null
    end
  end
  if self.schema.workspaceable and row.ws_id == nil then
    row.ws_id = kong.default_workspace
  end
  return row
end

local function position(self, offset)
  if offset == nil then
    return nil
  end
  local text = decode_base64(offset)
  if not text then
    return nil, self.errors:invalid_offset(offset, "bad base64 encoding")
  end
  local at = text:match("^%d+$") and tonumber(text)
  if not at then
    return nil, self.errors:invalid_offset(offset, "bad offset string")
  end
  return at
end

local function page_of(self, found, after)
  local rows, n = {}, 0
  for i = 1, #found do
    local row = row_of(self, found[i])
    if row then
      n = n + 1
      rows[n] = row
    end
  end
  if after then
    return rows, nil, encode_base64(tostring(after), true)
  end
  return rows
end

local function page(self, size, offset, options, field, parent_id)
  size = size or self.connector:get_page_size(options)
  local after, err_t = position(self, offset)
  if err_t then
    return nil, err_t
  end
  local db = ops.db
  if not db or not in_workspace(self, options) then
    return {}
  end
  return page_of(self, db.page(self.schema.name, size, after, field, parent_id))
end

--- Rows that carry the tags of `options`.
function Strategy:page_for_tags(size, offset, options)
  size = size or self.connector:get_page_size(options)
  local after, err_t = position(self, offset)
  if err_t then
    return nil, err_t
  end
  local db = ops.db
  if not db or not in_workspace(self, options) then
    return {}
  end
  -- a line feed is in no tag
  local tags = table.concat(options.tags, "\n")
  return page_of(self, db.tagged(self.schema.name, tags, options.tags_cond or "and", size, after))
end

--- A page of rows: rows, nil, the next offset; nil, error table.
function Strategy:page(size, offset, options)
  if options and options.tags then
    return self:page_for_tags(size, offset, options)
  end
  return page(self, size, offset, options)
end

--- The row with this primary key.
function Strategy:select(pk, options)
  local db = ops.db
  if db and in_workspace(self, options) then
    local row = row_of(self, db.get(self.schema.name, pk_string(self.schema, pk)))
    if row then
      return row
    end
  end
  if options and options.workspace == null and self.schema.workspaceable then
    return nil, "not found"
  end
end

--- The row with this value in a unique field, or with this composed "cache_key".
function Strategy:select_by_field(field, value, options)
  if type(value) == "table" then -- a foreign key of one field
    local _
    _, value = next(value)
  end
  local field_schema = self.schema.fields[field]
  local everywhere = field == "cache_key" or (field_schema and field_schema.unique_across_ws)
  -- the same value may be in several workspaces
  assert(not options or options.workspace ~= null or everywhere)

  local db = ops.db
  if db and (everywhere or in_workspace(self, options)) then
    return row_of(self, db.get_by(self.schema.name, field, tostring(value)))
  end
end

local function refused(verb)
  return function(self)
    local err = fmt("cannot %s '%s' entities when not using a database", verb, self.schema.name)
    return nil, self.errors:operation_unsupported(err)
  end
end

local function refused_by(verb)
  return function(self, field)
    local err = fmt("cannot %s '%s' entities by '%s' when not using a database", verb, self.schema.name,
      field)
    return nil, self.errors:operation_unsupported(err)
  end
end

Strategy.insert = refused "create"
Strategy.update = refused "update"
Strategy.upsert = refused "create or update"
Strategy.delete = refused "remove"
Strategy.update_by_field = refused_by "update"
Strategy.upsert_by_field = refused_by "create or update"
Strategy.delete_by_field = refused_by "remove"

function Strategy:truncate()
  return true
end

local M = {}

--- The strategy of one entity.
function M.new(connector, schema, errors)
  -- Until a configuration says otherwise, it is this one.
  if kong and not kong.default_workspace then
    kong.default_workspace = constants.DECLARATIVE_DEFAULT_WORKSPACE_ID
  end

  local nullable = {}
  local self = { connector = connector, schema = schema, errors = errors, nullable = nullable }
  for name, field in schema:each_field() do
    if field.required ~= true then
      nullable[#nullable + 1] = name
    end
    if field.type == "foreign" then
      self["page_for_" .. name] = function(strategy, foreign_key, size, offset, options)
        return page(strategy, size, offset, options, name, foreign_key.id)
      end
    end
  end
  return setmetatable(self, Strategy)
end

return M
