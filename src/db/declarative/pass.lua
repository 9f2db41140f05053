-- A file turned into rows in one pass: kind by kind in an order in which what an entity refers to comes
-- before it, each item judged, completed, given its id and references, and handed over at once. Only names
-- and keys are kept.
--
-- The pass says nothing but "no": at the first item that is not right it stops, and
-- `moongate.db.declarative.whole` judges the file with every error at its place. What the pass accepts is
-- what that accepts, with the same rows.

local ids = require "moongate.db.declarative.ids"
local kinds_of = require "moongate.db.declarative.kinds"
local pk_string = require "moongate.db.declarative.pk"
local step = require("moongate.db.declarative.place").step
local records = require "moongate.db.declarative.records"
local yield = require("kong.tools.yield").yield

local null = ngx.null
local pairs, type, tostring, next = pairs, type, tostring, next

local record, is_list, without_children = kinds_of.record, records.is_list, records.without_children
local key_of, id_of = ids.key, ids.of

local M = {}

-- Whether names (of fields, or paths from a field on) include a reference of a kind.
local function has_reference(kind, names)
  for _, name in ipairs(type(names) == "table" and names or { names }) do
    if type(name) == "string" and kind.references[name:match("^[^.]+")] then
      return true
    end
  end
  return false
end

-- Whether a schema's checks look at what an entity refers to: such items can only be judged with their
-- references filled in.
local function looks_at_references(kind)
  local schema = kind.schema
  for _, transformation in ipairs(schema.transformations or {}) do
    if has_reference(kind, transformation.input) or has_reference(kind, transformation.needs) then
      return true
    end
  end
  for _, check in ipairs(schema.entity_checks or {}) do
    local _, arg = next(check)
    -- `conditional` names the field that must not be set; a reference by name is set as well as one by key.
    if type(arg) == "table" and (has_reference(kind, arg) or has_reference(kind, arg.field_sources)) then
      return true
    end
  end
  return false
end

local function has_such_items(kinds, input)
  if kinds.looking == nil then
    kinds.looking = {}
    for _, name in ipairs(kinds.names) do
      if looks_at_references(kinds.by_name[name]) then
        kinds.looking[name] = true
      end
    end
    kinds.looking = next(kinds.looking) and kinds.looking or false
  end
  if not kinds.looking then
    return false
  end
  for name in pairs(kinds.looking) do
    local kind = kinds.by_name[name]
    if type(input[name]) == "table" and next(input[name]) ~= nil then
      return true
    end
    for _, field in ipairs(kind.foreigns) do
      local parents = input[kind.references[field]]
      if type(parents) == "table" then
        for _, parent in pairs(parents) do
          if type(parent) == "table" and type(parent[name]) == "table" then
            return true
          end
        end
      end
    end
  end
  return false
end

-- Where items come from: tables, or a text taken apart (`source` of `moongate.db.declarative.load`), whose lists
-- are numbers.

local function tables(input, drop)
  return {
    top = function(name)
      return input[name]
    end,
    is_list = function(list)
      return type(list) == "table" and is_list(list)
    end,
    count = function(list)
      return #list
    end,
    item = function(list, i)
      local item = list[i]
      if drop then
        list[i] = false
      end
      return item
    end,
    done = function(_, name)
      if drop and name then
        input[name] = nil
      end
    end,
  }
end

local function pieces(source)
  return {
    top = source.top,
    is_list = function(list)
      return type(list) == "number"
    end,
    count = source.count,
    item = source.item,
    done = source.done,
  }
end

local Pass = {}
Pass.__index = Pass

-- The primary key of the entity that a name or id stands for, as a table of its own.
local function found_key(self, reference, value)
  local kind = self.kinds.by_name[reference]
  local names = self.names[reference]
  local key = names and names[value]
  if key == nil and self.keys[reference] and self.keys[reference][value] then
    key = kind.single_key and value or self.keys[reference][value]
  end
  if key == nil then
    return nil
  elseif kind.single_key then
    return { [kind.single_key] = key }
  end
  local copy = {}
  for k, v in pairs(key) do
    copy[k] = v
  end
  return copy
end

-- Records a row's name, primary key and unique fields; false when one is there already.
local function register(self, kind, row)
  local name, schema = kind.name, kind.schema
  local id = kind.single_key and row[kind.single_key]
  if type(id) ~= "string" then
    if id == null then
      return nil
    end
    id = pk_string(schema, row)
  end
  local keys = self.keys[name]
  if keys[id] then
    return nil
  end
  local key = true
  if not kind.single_key then
    key = schema:extract_pk_values(row)
  end
  keys[id] = key

  local name_key = kind.name_key
  if name_key then
    local value = row[name_key]
    if value ~= nil and value ~= null then
      local names = self.names[name]
      if names[value] ~= nil then
        return nil
      end
      names[value] = kind.single_key and row[kind.single_key] or key
    end
  end

  local uniques = kind.uniques
  if uniques then
    for i = 1, #uniques do
      local field = uniques[i]
      local value = row[field]
      if field ~= name_key and value ~= nil and value ~= null then
        if type(value) == "table" then
          value = value.id
        end
        value = tostring(value)
        local seen = self.uniques[name]
        seen[field] = seen[field] or {}
        if seen[field][value] then
          return nil
        end
        seen[field][value] = true
      end
    end
  end
  return id
end

-- The lists inside an item wait for the turn of their kinds.
local function keep_children(self, kind, item, row, raw_id)
  local key
  for i = 1, #kind.children do
    local child = kind.children[i]
    local list = item[child]
    if list ~= nil and list ~= null then
      if not self.source.is_list(list) then
        return false
      end
      local own = kind.own[child]
      if own and not own.transient then
        -- It would be both a field and a list of entities.
        return false
      end
      if not key then
        key = kind.schema:extract_pk_values(row)
      end
      local waiting = self.waiting[child]
      if not waiting then
        waiting = {}
        self.waiting[child] = waiting
      end
      local kept
      if own and self.inner_lists then
        kept = setmetatable({}, require("cjson").array_mt)
        row[child] = kept
      end
      waiting[#waiting + 1] = {
        list = list, key = key, raw_key = raw_id and key or {}, field = kind.child_key[child], rows = kept,
      }
    end
  end
  return true
end

local function fill_references(self, kind, into)
  local foreigns = kind.foreigns
  for i = 1, #foreigns do
    local field = foreigns[i]
    local value = into[field]
    if type(value) == "string" then
      local key = found_key(self, kind.references[field], value)
      if not key then
        return false
      end
      into[field] = key
    elseif value ~= nil and value ~= null then
      -- A primary key, which only the second judgement takes.
      local id = type(value) == "table" and value.id
      if not self.full or not id or not found_key(self, kind.references[field], id) then
        return false
      end
    end
  end
  return true
end

-- One item: true, or false when something is not right. `parent` is the entry of `keep_children` it came
-- with.
local function take(self, kind, schema, item, parent)
  if type(item) ~= "table" then
    return false
  end
  local child_key = parent and parent.field
  local name, key = key_of(self.kinds, kind, item, parent and parent.raw_key, child_key)
  local id = key and id_of(kind.name, key)

  local own = without_children(kind, item)
  if self.full then
    if own == item then
      own = {}
      for k, v in pairs(item) do
        own[k] = v
      end
    end
    if parent and not own[child_key] then
      own[child_key] = parent.key
    end
    if not fill_references(self, kind, own) then
      return false
    end
  end

  if id and (self.drop or own ~= item) then
    -- What is ours can be given its id at once; a file that is kept stays as it is.
    own[name] = id
  end
  local row = schema:process_auto_fields(own, "insert")
  if not row then
    return false
  end
  if id then
    row[name] = id
  end
  if not schema:validate(row) then
    return false
  end
  if not self.full and not fill_references(self, kind, row) then
    return false
  end
  if parent then
    local parent_key = {}
    for k, v in pairs(parent.key) do
      parent_key[k] = v
    end
    row[child_key] = parent_key
  end

  -- What a file may say of an entity beside its fields.
  local fields = kind.own
  row._comment, row._ignore = nil, nil
  if not fields.updated_at then
    row.updated_at = nil
  end
  if not fields.ttl and (not kind.schema.ttl or row.ttl == null) then
    row.ttl = nil
  end
  for i = 1, #kind.own_children do
    row[kind.own_children[i]] = null
  end

  local row_id = register(self, kind, row)
  if not row_id or not keep_children(self, kind, item, row, id or item[kind.single_key or ""]) then
    return false
  end
  if parent and parent.rows then
    parent.rows[#parent.rows + 1] = row
  end
  return self.emit(kind.name, row_id, row, kind) ~= false
end

-- Fields of an entity that a list of entities inside takes the place of.
local function own_children(kind)
  if not kind.own_children then
    kind.own_children = {}
    for i = 1, #kind.children do
      if kind.own[kind.children[i]] then
        kind.own_children[#kind.own_children + 1] = kind.children[i]
      end
    end
  end
end

local function take_list(self, name, kind, schema, list, parent)
  local source = self.source
  local item_of = source.item
  for i = 1, source.count(list) do
    yield(true)
    local item = item_of(list, i)
    step(name, i, item)
    if not take(self, kind, schema, item, parent) then
      return false
    end
  end
  source.done(list, not parent and name)
  return true
end

local function take_kind(self, name)
  local kind = self.kinds.by_name[name]
  own_children(kind)
  self.keys[name], self.names[name], self.uniques[name] = {}, {}, {}

  local waiting = self.waiting[name]
  if waiting then
    local schema = record(kind, self.full and "full" or "nested")
    for i = 1, #waiting do
      if not take_list(self, name, kind, schema, waiting[i].list, waiting[i]) then
        return false
      end
      waiting[i] = false
    end
    self.waiting[name] = nil
  end

  local list = self.source.top(name)
  if list ~= nil and list ~= null then
    if not self.source.is_list(list) then
      return false
    end
    return take_list(self, name, kind, record(kind, self.full and "full" or "top"), list)
  end
  return true
end

local function run(kinds, source, given, options, full)
  local head = records.judge_own(kinds.head_schema, given)
  if not head then
    return nil
  end
  local self = setmetatable({
    kinds = kinds, full = full, emit = options.emit, drop = options.drop, inner_lists = options.inner_lists,
    source = source, keys = {}, names = {}, uniques = {}, waiting = {},
  }, Pass)
  for i = 1, #kinds.names do
    if not take_kind(self, kinds.names[i]) then
      return nil
    end
  end
  return head
end

--- Passes over a file, handing over each row by `options.emit(kind_name, id, row, kind)`. With `options.drop`
-- the file is emptied on the way. Answers what the file says about itself, or nil: then the rows handed over
-- are void.
function M.run(kinds, input, options)
  local source = tables(input, options.drop)
  local ok, head = pcall(run, kinds, source, records.head_of(kinds, input), options, has_such_items(kinds, input))
  return ok and head or nil
end

--- The names of kinds whose items a file in pieces must not have: what they refer to is looked at.
function M.looking(kinds)
  has_such_items(kinds, {})
  local names = {}
  for name in pairs(kinds.looking or {}) do
    names[#names + 1] = name
  end
  return names
end

--- The same for a text taken apart, whose head is `head`; nil also where an item is unusual.
function M.run_pieces(kinds, source, head, options)
  local ok, judged = pcall(run, kinds, pieces(source), head, {
    emit = options.emit, drop = true,
  }, false)
  return ok and judged or nil
end

return M
