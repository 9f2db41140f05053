-- `moongate.db.declarative`: the gateway's way from a parsed document to rows.
--
-- The document is judged, completed and flattened by the same code as `kong.db.declarative`, and its rows are
-- made what the store keeps: each in a workspace, transformed where their schema says so.

local Errors = require "kong.db.errors"
local constants = require "kong.constants"
local declarative_config = require "kong.db.schema.others.declarative_config"
local flatten = require "moongate.db.flatten"
local migrate_route_paths = require "kong.db.declarative.migrations.route_path"
local place = require "moongate.db.declarative.place"
local setup = require "moongate.db.setup"
local tree_text = require "moongate.db.declarative.tree"

local array_mt = require("cjson").array_mt
local deep_copy = require("kong.tools.table").cycle_aware_deep_copy
local null = ngx.null
local pairs, type, tostring, error, pcall = pairs, type, tostring, error, pcall

local M = {}

local function names_of(set)
  local names = {}
  for name in pairs(set or {}) do
    names[#names + 1] = name
  end
  table.sort(names)
  return table.concat(names, ",")
end

local newest = {}

-- The file schema of a configuration; made once as long as the plugins and vaults are the same.
local function schema_for(options)
  local key = names_of(options.plugins) .. ";" .. (options.vaults and names_of(options.vaults) or "-")
  if newest.key ~= key then
    local plugins = options.plugins or {}
    local schema, err = declarative_config.load(plugins, options.vaults, false, setup.schemas(plugins))
    if not schema then
      return nil, err
    end
    newest = { key = key, schema = schema }
  end
  return newest.schema
end

--- Where in the file the last `load` was when it was stopped or something was raised; nil if it came to its
-- end.
function M.where()
  return place.told()
end

local function without_nulls(t)
  for k, v in pairs(t) do
    if v == null then
      t[k] = nil
    elseif type(v) == "table" then
      without_nulls(v)
    end
  end
  return t
end

local function restore_nulls(from, to)
  for k, v in pairs(from) do
    if v == null then
      if to[k] == nil then
        to[k] = null
      end
    elseif type(v) == "table" and type(to[k]) == "table" then
      restore_nulls(v, to[k])
    end
  end
  return to
end

-- Transforms as on a write to a database: what is unset is not there meanwhile.
local function transformed(schema, row)
  if not schema:has_transformations(row) then
    return row
  end
  local changed, err = schema:transform(without_nulls(deep_copy(row)))
  if not changed then
    return nil, err
  end
  return restore_nulls(row, changed)
end

local function refusal(tree, input, options, schema, text)
  place.leave()
  text = text or tree_text(tree)
  local flattened
  if options.flatten_errors and type(input) == "table" then
    flattened = flatten.flatten(tree, input, schema and schema.kinds.schemas)
  end
  local err_t = Errors:declarative_config(tree)
  err_t.flattened_errors = flattened
  return nil, tree, flattened, text, err_t
end

-- What is refused without a look at its entities: the text is the error itself.
local function unreadable(err)
  local tree = { error = err }
  return nil, tree, nil, err, Errors:declarative_config(tree)
end

local Rows = {}
Rows.__index = Rows

-- Hands over the default workspace, if the file has none, before anything else.
function Rows:default_workspace()
  if not self.workspace then
    self.workspace = constants.DECLARATIVE_DEFAULT_WORKSPACE_ID
    local row = self.schema.kinds.schemas.workspaces:process_auto_fields(
      { name = "default", id = self.workspace }, "insert")
    self:hand_over("workspaces", row)
  end
end

function Rows:hand_over(name, row)
  local sink = self.sink
  if sink then
    sink(name, row)
    return
  end
  local rows = self.entities[name]
  if not rows then
    rows = setmetatable({}, array_mt)
    self.entities[name] = rows
  end
  rows[#rows + 1] = row
end

function Rows:take(name, id, row, kind)
  if name == "workspaces" then
    if row.name == "default" then
      self.workspace = row.id
    end
  else
    self:default_workspace()
    if row.ws_id == nil or row.ws_id == null then
      row.ws_id = self.workspace
    end
  end
  if self.transform then
    local err
    row, err = transformed(kind.schema, row)
    if not row then
      self.failed = { [name] = { [id] = { ["@entity"] = { tostring(err) } } } }
      return false
    end
  end
  self:hand_over(name, row)
  return true
end

function Rows:clear()
  self.workspace, self.failed = nil, nil
  self.entities = {}
  if self.reset then
    self.reset()
  end
end

-- All rows at once, in the order of kinds and then of ids.
function Rows:take_all(entities)
  self:clear()
  local kinds = self.schema.kinds
  for _, name in ipairs(kinds.names) do
    local ids = {}
    for id in pairs(entities[name] or {}) do
      ids[#ids + 1] = id
    end
    table.sort(ids)
    for i, id in ipairs(ids) do
      place.step(name, i, entities[name][id])
      if not self:take(name, id, entities[name][id], kinds.by_name[name]) then
        return
      end
    end
  end
end

-- The document as it is judged: without the gateway's own settings, in the newest format.
local function prepared(document)
  local gateway = document._gateway
  document._gateway = nil
  migrate_route_paths(document)
  return document, gateway
end

local function rows_for(schema, document, options)
  return setmetatable({
    schema = schema, sink = options.sink, reset = options.reset, entities = {},
    transform = document._transform ~= false,
  }, Rows)
end

local function meta_of(rows, meta, gateway)
  rows:default_workspace()
  place.leave()
  meta._gateway = gateway
  return meta
end

-- A text of the newest format taken apart by `options.source`, item by item: its meta; nil where it has to be read
-- as a whole, and whether it was passed over.
local function in_pieces(options)
  local schema = schema_for(options)
  local source = schema and options.source(schema:inner_lists())
  local head = source and source.decode(source.head)
  if not head or head._format_version ~= "3.0" then
    return nil, false
  end
  local gateway = head._gateway
  head._gateway = nil
  local rows = rows_for(schema, head, options)
  local meta = schema:stream_pieces(source, head, {
    emit = function(name, id, row, kind)
      return rows:take(name, id, row, kind)
    end,
  })
  if meta then
    return meta_of(rows, meta, gateway), true
  end
  rows:clear()
  return nil, true
end

--- Makes rows of a document: a table, or a function that answers it anew each time. Only with a function is
-- the document given up on the way, which saves a copy of it; it is asked again to tell what is wrong.
--
-- `options`: `plugins` and `vaults` (sets of names), `flatten_errors`, `sink(kind, row)` (rows are handed
-- over one by one instead of kept), `reset()` (rows handed over so far are void and come again) and, with a sink,
-- `source(kinds, unless)`, which takes the document's text apart and is tried first.
--
-- Answers the lists of rows by kind (with a sink: true) and the document's meta. If it is refused: nil, the
-- tree of errors, with `flatten_errors` the errors entity by entity, the tree as text, and Kong's error
-- table. What has been handed over is void then.
function M.load(input, options)
  options = options or {}
  place.leave()
  local passed
  if options.source then
    local meta
    meta, passed = in_pieces(options)
    if meta then
      return true, meta
    end
  end
  local again = type(input) == "function" and input
  local document = again and again() or input
  if type(document) ~= "table" then
    return unreadable("failed parsing declarative configuration: expected an object")
  end
  local gateway
  document, gateway = prepared(document)

  local schema, err = schema_for(options)
  if not schema then
    return unreadable(tostring(err))
  end

  local rows = rows_for(schema, document, options)
  local broken
  local meta, tree = schema:stream(document, {
    drop = again and true,
    refused = passed,
    emit = function(name, id, row, kind)
      local ok, went = pcall(rows.take, rows, name, id, row, kind)
      if not ok then
        broken = went
        return false
      end
      return went
    end,
    restart = function()
      if broken then
        error(broken, 0)
      end
      rows:clear()
      if again and not passed then
        document = prepared(again())
        place.leave()
        if document._transform == nil then
          document._transform = true
        end
      end
      return document
    end,
    rows = function(entities)
      rows:take_all(entities)
    end,
  })
  tree = tree or rows.failed
  if tree then
    return refusal(tree, document, options, schema)
  end
  meta = meta_of(rows, meta, gateway)
  return options.sink and true or rows.entities, meta
end

return M
