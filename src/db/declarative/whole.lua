-- A file flattened as a whole: judged twice if need be, given ids, completed, its references and unique
-- fields checked with every error at its place. The one pass (`moongate.db.declarative.pass`) does the same
-- for a file without errors; this is what says what is wrong.

local cjson = require "cjson.safe"
local ids = require "moongate.db.declarative.ids"
local leave = require("moongate.db.declarative.place").leave
local pk_string = require "moongate.db.declarative.pk"
local records = require "moongate.db.declarative.records"
local table_tools = require "kong.tools.table"
local uuid = require("kong.tools.uuid").uuid
local yield = require("kong.tools.yield").yield

local null = ngx.null
local deep_copy = table_tools.cycle_aware_deep_copy
local workspace_of = ids.workspace_of
local pairs, ipairs, type, next, tostring = pairs, ipairs, type, next, tostring

local M = {}

function M.uniqueness_error(kind_name, key, value)
  return "uniqueness violation: '" .. kind_name .. "' entity with " .. key .. " set to '" .. tostring(value)
    .. "' already declared"
end

-- Calls `f(kind, list, parent)` for each list of entities in a file or an item, in the order of kinds.
-- `parent` has the primary key of the item and the field by which the list's items refer to it.
local function each_list(kinds, input, parent_kind, f)
  local names = parent_kind and parent_kind.children or kinds.names
  for i = 1, #names do
    local name = names[i]
    local list = input[name]
    if type(list) == "table" then
      local own = parent_kind and parent_kind.own[name]
      if not own or own.transient then
        local key = parent_kind and parent_kind.schema:extract_pk_values(input)
        leave()
        f(kinds.by_name[name], list, key, parent_kind and parent_kind.child_key[name])
      end
    end
  end
end

local function generate_ids(kinds, input, parent_kind)
  each_list(kinds, input, parent_kind, function(kind, list, parent_key, child_key)
    for i, item in ipairs(list) do
      if type(item) == "table" then
        local name, key = ids.key(kinds, kind, item, parent_key, child_key)
        local id = key and ids.of(kind.name, key)
        if id then
          local with_id = {}
          for k, v in pairs(item) do
            with_id[k] = v
          end
          with_id[name] = id
          item = with_id
          list[i] = item
        end
        generate_ids(kinds, item, kind)
      end
    end
  end)
end

local function add_by_key(by_key, kind, item, key)
  local endpoint = kind.own[kind.schema.endpoint_key]
  local ws_id = endpoint and endpoint.unique_across_ws and "*" or workspace_of(item)
  local of_workspace = by_key[ws_id]
  if not of_workspace then
    of_workspace = {}
    by_key[ws_id] = of_workspace
  end
  local of_kind = of_workspace[kind.name]
  if not of_kind then
    of_kind = {}
    of_workspace[kind.name] = of_kind
  end
  if of_kind[key] then
    return false
  end
  of_kind[key] = item
  return true
end

local function find(ws_id, key, kind_name, by_key, by_id)
  local of_workspace = by_key[ws_id]
  return of_workspace and of_workspace[kind_name] and of_workspace[kind_name][key]
    or by_id[kind_name] and by_id[kind_name][key]
end

local function fill(kinds, input, parent_kind, by_id, by_key)
  each_list(kinds, input, parent_kind, function(kind, list, parent_key, child_key)
    by_id[kind.name] = by_id[kind.name] or {}
    for _, item in ipairs(list) do
      if type(item) == "table" then
        local name, key = ids.key(kinds, kind, item, parent_key, child_key)
        if name and not item[name] then
          if key then
            item[name] = ids.of(kind.name, key)
          else
            item[name] = uuid()
          end
        end
        fill(kinds, item, kind, by_id, by_key)
        by_id[kind.name][pk_string(kind.schema, item)] = item
        local endpoint = kind.schema.endpoint_key
        if endpoint and item[endpoint] then
          add_by_key(by_key, kind, item, item[endpoint])
        end
        if parent_key and not item[child_key] then
          item[child_key] = deep_copy(parent_key, true)
        end
      end
    end
  end)
end

-- Fills in ids and primary keys of references, for checks that look at them.
local function fill_for_validation(kinds, input)
  local by_id, by_key = {}, {}
  fill(kinds, input, nil, by_id, by_key)
  for name, entries in pairs(by_id) do
    local kind = kinds.by_name[name]
    for _, entry in pairs(entries) do
      for _, field in ipairs(kind.foreigns) do
        if type(entry[field]) == "string" then
          local reference = kind.references[field]
          local found = find(workspace_of(entry), entry[field], reference, by_key, by_id)
          if found then
            entry[field] = kinds.schemas[reference]:extract_pk_values(found)
          end
        end
      end
    end
  end
end

-- Of a tree of errors, the texts that say that a value must be null: they stay right when references are
-- known.
local function null_errors(tree)
  local kept = {}
  for k, v in pairs(tree) do
    if type(v) == "table" then
      local inner = null_errors(v)
      kept[k] = next(inner) ~= nil and inner or nil
    elseif type(v) ~= "string" or v == "value must be null" then
      kept[k] = v
    end
  end
  return kept
end

local function add_error(errs, parent_kind, parent_index, kind, index, err)
  local place = errs
  if parent_kind then
    place[parent_kind.name] = place[parent_kind.name] or {}
    place = place[parent_kind.name]
    if type(place[parent_index]) ~= "table" then
      place[parent_index] = {}
    end
    place = place[parent_index]
  end
  place[kind.name] = place[kind.name] or {}
  place[kind.name][index] = err
end

-- Collects entities by primary key and by name, what they refer to, and what is there twice.
local function collect(kinds, input, found, parent_kind, parent_index)
  each_list(kinds, input, parent_kind, function(kind, list, parent_key, child_key)
    local by_id = found.by_id
    for i, item in ipairs(list) do
      yield(true)
      collect(kinds, item, found, kind, i)

      local item_id = pk_string(kind.schema, item)
      for _, name in ipairs(kind.primary_key) do
        if item[name] == null then
          add_error(found.errs, parent_kind, parent_index, kind, i, { [name] = "required field missing" })
        end
      end
      local key = kind.name_key and item[kind.name_key]
      if key == null then
        key = nil
      end
      local twice = key and not add_by_key(found.by_key, kind, item, key)
      if twice then
        local err = M.uniqueness_error(kind.name, kind.name_key, key)
        add_error(found.errs, parent_kind, parent_index, kind, i, err)
      end

      local entries = by_id[kind.name]
      if not entries then
        entries = {}
        by_id[kind.name] = entries
      end
      if not twice and entries[item_id] then
        local err = M.uniqueness_error(kind.name, "primary key", item_id)
        add_error(found.errs, parent_kind, parent_index, kind, i, err)
      else
        entries[item_id] = item
        entries[#entries + 1] = item_id
      end

      for _, field in ipairs(kind.foreigns) do
        local value = item[field]
        if value ~= nil and value ~= null then
          local n = #found.expected + 1
          found.expected[n] = {
            kind = kind, field = field, value = value, ws_id = workspace_of(item), at = key or item_id or i,
          }
        end
      end
      if parent_key then
        item[child_key] = deep_copy(parent_key, true)
      end
    end
  end)
end

local function check_references(kinds, input)
  local found = { by_id = {}, by_key = {}, expected = {}, errs = {} }
  collect(kinds, input, found)
  local errs = found.errs
  for _, wanted in ipairs(found.expected) do
    local key = wanted.value
    if type(key) == "table" then
      key = key.id or key
    end
    local reference = wanted.kind.references[wanted.field]
    if not find(wanted.ws_id, key, reference, found.by_key, found.by_id) then
      local of_kind = errs[wanted.kind.name] or {}
      errs[wanted.kind.name] = of_kind
      if type(of_kind[wanted.at]) ~= "table" then
        of_kind[wanted.at] = { of_kind[wanted.at] }
      end
      local list = of_kind[wanted.at]
      local shown = type(wanted.value) == "string" and wanted.value or cjson.encode(wanted.value)
      list[#list + 1] = "invalid reference '" .. wanted.field .. ": " .. tostring(shown)
        .. "' (no such entry in '" .. reference .. "')"
    end
  end
  if next(errs) ~= nil then
    return nil, errs
  end
  return found.by_id, found.by_key
end

--- What a field's value is unique as.
local function unique_value(schema, entity, field, value)
  if type(value) == "table" then
    value = value.id
  end
  if not schema.workspaceable or field.unique_across_ws then
    return value
  end
  return workspace_of(entity) .. ":" .. tostring(value)
end

local function flat(kinds, kind, entry, by_id, by_key)
  local row = {}
  for name, field in kind.schema:each_field(entry) do
    local value = entry[name]
    if field.type == "foreign" and type(value) == "string" then
      local found = find(workspace_of(entry), value, field.reference, by_key, by_id)
      if found then
        row[name] = kinds.schemas[field.reference]:extract_pk_values(found)
      end
    else
      row[name] = value
    end
  end
  if kind.schema.ttl and entry.ttl and entry.ttl ~= null then
    row.ttl = entry.ttl
  end
  return row
end

local function flat_rows(kinds, by_id, by_key)
  local entities, errs = {}, nil
  for _, name in ipairs(kinds.names) do
    local entries = by_id[name]
    if entries then
      yield(true)
      leave()
      local kind = kinds.by_name[name]
      local rows, uniques = {}, {}
      entities[name] = rows
      for _, id in ipairs(entries) do
        local entry = entries[id]
        local row = flat(kinds, kind, entry, by_id, by_key)
        for _, field in ipairs(kind.uniques or {}) do
          local value = row[field]
          if value ~= nil and value ~= null then
            local unique = unique_value(kind.schema, entry, kind.own[field], value)
            uniques[field] = uniques[field] or {}
            if uniques[field][unique] then
              errs = errs or {}
              errs[name] = errs[name] or {}
              local endpoint = kind.schema.endpoint_key
              local key = endpoint and row[endpoint]
              if key == nil or key == null then
                key = id
              end
              errs[name][key] = M.uniqueness_error(name, field, value)
            else
              uniques[field][unique] = true
            end
          end
        end
        rows[id] = row
      end
    end
  end
  if errs then
    return nil, errs
  end
  return entities
end

--- What a file says about itself.
function M.meta(head)
  local meta = {}
  for key, value in pairs(head) do
    if type(key) == "string" and key:sub(1, 1) == "_" then
      meta[key] = value
    end
  end
  if meta._info == null then
    meta._info = nil
  end
  return meta
end

--- Judges a file, a second time with references filled in where the first found something.
function M.judge(kinds, input)
  local ok, errs = records.validate(kinds, input, "top")
  if ok then
    return true
  end
  yield()
  leave()
  local filled = deep_copy(input, true)
  leave()
  fill_for_validation(kinds, filled)
  local errs2
  ok, errs2 = records.validate(kinds, filled, "full")
  if ok then
    return true
  end
  return nil, table_tools.cycle_aware_deep_merge(errs2, null_errors(errs))
end

--- The rows of a file by kind and primary key, and its meta; nil and the errors.
-- The file's items are given their ids.
function M.flatten(kinds, input)
  local ok, errs = M.judge(kinds, input)
  if not ok then
    return nil, errs
  end
  generate_ids(kinds, input)
  yield()
  local completed
  completed, errs = records.complete(kinds, input, "top", "insert")
  leave()
  if not completed then
    return nil, errs
  end
  local by_id, by_key = check_references(kinds, completed)
  if not by_id then
    return nil, by_key
  end
  leave()
  local entities
  entities, errs = flat_rows(kinds, by_id, by_key)
  if not entities then
    return nil, errs
  end
  return entities, nil, M.meta(completed)
end

return M
