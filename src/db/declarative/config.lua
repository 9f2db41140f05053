-- `kong.db.schema.others.declarative_config`: the schema of a declarative file for one set of plugins and
-- vaults.
--
-- It answers as a schema object does (`validate`, `process_auto_fields`), and flattens a file into rows.

local Errors = require "kong.db.errors"
local constants = require "kong.constants"
local cjson = require "cjson.safe"
local kinds_of = require "moongate.db.declarative.kinds"
local limits = require "moongate.db.declarative.limits"
local pass = require "moongate.db.declarative.pass"
local pk_string = require "moongate.db.declarative.pk"
local records = require "moongate.db.declarative.records"
local whole = require "moongate.db.declarative.whole"

local null = ngx.null

local M = {}

local errors = Errors.new("declarative")

-- What the newest file schema knows of references, for `validate_references_sync`.
local newest

local Config = {}
Config.__index = Config

--- Judges a file: true, or nil and its tree of errors.
function Config:validate(input)
  if type(input) ~= "table" then
    error("expected an input table", 2)
  end
  return records.validate(self.kinds, input, self.variant)
end

Config.validate_insert = Config.validate
Config.validate_upsert = Config.validate

--- Completes a file: a copy, but in place for "select".
function Config:process_auto_fields(data, context, nulls, opts)
  return records.complete(self.kinds, data, self.variant, context, nulls, opts)
end

--- The fields of a file.
function Config:each_field()
  local i = 0
  return function()
    i = i + 1
    if self.fields[i] then
      return next(self.fields[i])
    end
  end
end

--- The lists that may stand inside each kind's items, and the kinds that a file in pieces must not mention: for
-- taking a text apart.
function Config:inner_lists()
  local inner = {}
  for name, kind in pairs(self.kinds.by_name) do
    inner[name] = kind.children
  end
  return inner, pass.looking(self.kinds)
end

--- As `stream` for a text taken apart: its meta, or nil, where the rows handed over are void.
function Config:stream_pieces(source, head, options)
  if head._transform == nil then
    head._transform = true
  end
  head = pass.run_pieces(self.kinds, source, head, options)
  return head and whole.meta(head)
end

--- Passes over a file and hands over its rows by `options.emit`; see `moongate.db.declarative.pass`. Answers
-- its meta; nil and the tree of errors, where the rows handed over are void. Where only the second, whole
-- judgement accepts the file, `options.rows(entities)` gets all rows at once. With `options.refused` a pass has
-- been tried before.
function Config:stream(input, options)
  local place = limits.check(input)
  if place then
    return nil, place
  end
  if input._transform == nil then
    input._transform = true
  end
  local head = not options.refused and pass.run(self.kinds, input, options)
  if head then
    return whole.meta(head)
  end
  local entities, errs, meta = whole.flatten(self.kinds, options.restart())
  if not entities then
    return nil, errs
  end
  options.rows(entities)
  return meta
end

--- The rows of a file by kind and primary key, nil, and its meta; nil and its tree of errors.
function Config:flatten(input)
  local entities = {}
  local meta, errs = self:stream(input, {
    inner_lists = true,
    restart = function()
      entities = {}
      return input
    end,
    emit = function(name, id, row)
      local rows = entities[name]
      if not rows then
        rows = {}
        entities[name] = rows
      end
      rows[id] = row
    end,
    rows = function(rows)
      entities = rows
    end,
  })
  if not meta then
    return nil, errs
  end
  return entities, nil, meta
end

--- Adds the default workspace to rows that have none.
function Config:insert_default_workspace_if_not_given(entities)
  local id
  for _, workspace in pairs(entities.workspaces or {}) do
    if workspace.name == "default" then
      id = workspace.id
    end
  end
  id = id or constants.DECLARATIVE_DEFAULT_WORKSPACE_ID
  entities.workspaces = entities.workspaces or {}
  if not entities.workspaces[id] then
    entities.workspaces[id] = self.kinds.schemas.workspaces:process_auto_fields(
      { name = "default", id = id }, "insert")
  end
end

--- The schema of files for sets of plugin and vault names, nil, and its definition; nil and an error.
-- With `include_foreign`, references are primary keys. `schemas` are those of all entities with these plugins,
-- where they were made before.
function M.load(plugin_set, vault_set, include_foreign, schemas)
  local kinds, err = kinds_of.load(plugin_set, vault_set, errors, schemas)
  if not kinds then
    return nil, err
  end
  local fields = kinds_of.file_fields(kinds, include_foreign)
  local self = setmetatable({
    name = "declarative_config",
    primary_key = {},
    fields = fields,
    kinds = kinds,
    known_entities = kinds.names,
    plugin_set = plugin_set,
    vault_set = vault_set,
    variant = include_foreign and "full" or "top",
  }, Config)
  if not include_foreign then
    newest = kinds
  end
  return self, nil, { name = "declarative_config", primary_key = {}, fields = fields }
end

--- The schemas of the kinds that the newest file schema knows, by name; nil before there was one.
function M.known_schemas()
  return newest and newest.schemas
end

M.pk_string = pk_string

--- Checks that what changed entities refer to is among the changes or in the database.
function M.validate_references_sync(deltas, deltas_map, is_full_sync)
  local errs = {}
  for _, delta in ipairs(deltas) do
    local item, kind = delta.entity, newest and newest.by_name[delta.type]
    if item and item ~= null and kind then
      for _, field in ipairs(kind.foreigns) do
        local value = item[field]
        if value ~= nil and value ~= null then
          local reference = kind.references[field]
          local dao = kong.db[reference]
          local found = deltas_map[pk_string(dao.schema, value)]
          if not found and not is_full_sync then
            found = dao:select(value, { workspace = item.ws_id or kong.default_workspace })
          end
          if not found then
            local of_type = errs[delta.type] or {}
            errs[delta.type] = of_type
            of_type[reference] = of_type[reference] or {}
            table.insert(of_type[reference], ("could not find %s's foreign references %s (%s)"):format(
              delta.type, reference, type(value) == "string" and value or cjson.encode(value)))
          end
        end
      end
    end
  end
  if next(errs) ~= nil then
    return nil, errs
  end
  return true
end

return M
