-- A whole file judged and completed by its entities' records: what one record schema with lists of records
-- inside would say, entity by entity.

local guard = require "moongate.schema.engine.guard"
local kinds_of = require "moongate.db.declarative.kinds"
local step = require("moongate.db.declarative.place").step

local array_mt = require("cjson").array_mt
local null = ngx.null
local pairs, type, next, floor, pcall, tostring = pairs, type, next, math.floor, pcall, tostring

local record = kinds_of.record

local M = {}

--- Whether a table is a list without gaps.
local function is_list(t)
  local n = 0
  for k in pairs(t) do
    n = n + 1
    if type(k) ~= "number" or k < 1 or floor(k) ~= k then
      return false
    end
  end
  return n == 0 or n == #t
end

M.is_list = is_list

-- An item without the lists of entities inside it: itself when there are none.
local function without_children(kind, item)
  local children = kind.children
  for i = 1, #children do
    if item[children[i]] ~= nil then
      local own = {}
      for k, v in pairs(item) do
        if not kind.child_key[k] then
          own[k] = v
        end
      end
      return own
    end
  end
  return item
end

M.without_children = without_children

--- The completed copy of an item's own fields, judged: nil and its errors.
function M.judge_own(schema, own)
  local copy, err = schema:process_auto_fields(own, "insert")
  if not copy then
    return nil, err
  end
  local ok
  ok, err = schema:validate(copy)
  if not ok then
    return nil, err
  end
  return copy
end

-- A function of a schema may answer anything as its error, even what contains itself: a tree of texts, numbers and
-- booleans, so deep and no deeper.
local MAX_ERROR_DEPTH = 100

local function tree_of(err, depth)
  local t = type(err)
  if t == "string" or t == "number" or t == "boolean" then
    return err
  elseif t ~= "table" then
    return tostring(err)
  elseif depth > MAX_ERROR_DEPTH then
    return "..."
  end
  local tree = {}
  for k, v in pairs(err) do
    if type(k) ~= "number" then
      k = tostring(k)
    end
    tree[k] = tree_of(v, depth + 1)
  end
  return tree
end

-- As it, but what a schema's own function raises is an error of the field, else of the entity.
local function judge_guarded(schema, own)
  local ok, copy, err = pcall(guard.run, M.judge_own, schema, own)
  if not ok then
    return nil, { ["@entity"] = { tostring(copy) } }
  elseif copy then
    return copy
  end
  return nil, tree_of(err, 1)
end

local judge_list

local function judge_item(kinds, kind, variant, item)
  if item == null then
    return "required field missing"
  elseif type(item) ~= "table" then
    return "expected a record"
  end
  local ok, errs = judge_guarded(record(kind, variant), without_children(kind, item))
  if ok then
    errs = nil
  end
  local children = kind.children
  for i = 1, #children do
    local list = item[children[i]]
    if list ~= nil and list ~= null then
      local inner = kinds.by_name[children[i]]
      local err = judge_list(kinds, inner, variant == "top" and "nested" or variant, list)
      if err then
        errs = type(errs) == "table" and errs or { ["@entity"] = errs and { errs } }
        errs[children[i]] = err
      end
    end
  end
  return errs
end

function judge_list(kinds, kind, variant, list)
  if type(list) ~= "table" or not is_list(list) then
    return "expected an array"
  end
  local errs
  for i = 1, #list do
    step(kind.name, i, list[i])
    local err = judge_item(kinds, kind, variant, list[i])
    if err then
      errs = errs or {}
      errs[i] = err
    end
  end
  return errs
end

-- The file without its lists of entities.
local function head_of(kinds, input)
  local head = {}
  for k, v in pairs(input) do
    if not kinds.by_name[k] then
      head[k] = v
    end
  end
  return head
end

M.head_of = head_of

--- Judges a file: true, or nil and the errors. `variant` is "top", or "full" where references are primary
-- keys.
function M.validate(kinds, input, variant)
  local ok, errs = kinds.head_schema:validate(head_of(kinds, input))
  if ok then
    errs = {}
  end
  local names = kinds.names
  for i = 1, #names do
    local list = input[names[i]]
    if list ~= nil and list ~= null then
      errs[names[i]] = judge_list(kinds, kinds.by_name[names[i]], variant, list)
    end
  end
  if next(errs) ~= nil then
    return nil, errs
  end
  return true
end

local complete_list

local function complete_item(kinds, kind, variant, item, context, nulls, opts)
  if type(item) ~= "table" then
    return item
  end
  local inner
  local children = kind.children
  for i = 1, #children do
    local name = children[i]
    local list = item[name]
    if list ~= nil then
      inner = inner or {}
      inner[name] = complete_list(kinds, kinds.by_name[name], variant == "top" and "nested" or variant, list,
                                  context, nulls, opts)
    end
  end
  local own = item
  if inner then
    if context == "select" then
      for name in pairs(inner) do
        item[name] = nil
      end
    else
      own = without_children(kind, item)
    end
  end
  local row, err = record(kind, variant):process_auto_fields(own, context, nulls, opts)
  if not row then
    return nil, err
  end
  local unset = context == "insert" or context == "upsert" or context == "select" and nulls
  for i = 1, #children do
    local list = inner and inner[children[i]]
    if list == nil and unset then
      list = null
    elseif list == null and context == "select" and not nulls then
      list = nil
    end
    row[children[i]] = list
  end
  return row
end

function complete_list(kinds, kind, variant, list, context, nulls, opts)
  if type(list) ~= "table" then
    return list
  end
  local copy = list
  if context ~= "select" then
    copy = {}
  end
  for k, item in pairs(list) do
    step(kind.name, k, item)
    local row, err = complete_item(kinds, kind, variant, item, context, nulls, opts)
    -- A record that cannot be completed stays as it was given; judging it tells why.
    copy[k] = row == nil and err and item or row
  end
  if is_list(copy) then
    setmetatable(copy, array_mt)
  end
  return copy
end

--- Completes a file as a schema's `process_auto_fields` would: a copy, but in place for "select".
function M.complete(kinds, input, variant, context, nulls, opts)
  local head, err = kinds.head_schema:process_auto_fields(head_of(kinds, input), context, nulls, opts)
  if not head then
    return nil, err
  end
  local out = head
  if context == "select" then
    for k in pairs(input) do
      if not kinds.by_name[k] and head[k] == nil then
        input[k] = nil
      end
    end
    for k, v in pairs(head) do
      input[k] = v
    end
    out = input
  end
  local names = kinds.names
  for i = 1, #names do
    local name = names[i]
    local list = input[name]
    if list == nil then
      if context == "insert" or context == "upsert" or context == "select" and nulls then
        out[name] = null
      end
    elseif list == null and context == "select" and not nulls then
      out[name] = nil
    else
      out[name] = complete_list(kinds, kinds.by_name[name], variant, list, context, nulls, opts)
    end
  end
  return out
end

return M
