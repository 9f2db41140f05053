-- Completes what was given, into a copy: shorthand fields become the fields they stand for, automatic fields are
-- set, missing fields get their defaults, lists and sets are marked as such.

local cjson = require "cjson"
local new_table = require "table.new"
local plan = require "moongate.schema.engine.plan"
local shorthand = require "moongate.schema.engine.shorthand"
local values = require "moongate.schema.engine.values"

local array_mt, null = cjson.array_mt, cjson.null
local set_mt, sequence, copy, as_array, as_set = values.set_mt, values.sequence, values.copy, values.as_array,
  values.as_set
local MAX_DEPTH = values.MAX_DEPTH
local getmetatable, next, setmetatable, type = getmetatable, next, setmetatable, type
local kind, missing, auto = plan.kind, plan.missing, plan.auto
local ARRAY, SET, MAP, RECORD = kind.ARRAY, kind.SET, kind.MAP, kind.RECORD
local NOTHING, NULL, PLAIN, COPY = missing.NOTHING, missing.NULL, missing.PLAIN, missing.COPY
local EMPTY = {}

local M = {}

local fill, fill_table

-- The default of a list is marked as one, if it is not marked already.
local function default_of(P, depth)
  local value = copy(P.default, depth)
  if (P.kind == ARRAY or P.kind == SET) and not getmetatable(value) then
    setmetatable(value, array_mt)
  end
  return value
end

--- What stands for a missing value.
local function stand_in(field, P, opts, depth)
  local code = P.missing
  if opts and opts.no_defaults then
    code = P.missing_no_default
  end
  if code == PLAIN then
    return P.default
  elseif code == NULL then
    return null
  elseif code == NOTHING then
    return nil
  elseif code == COPY then
    if P.kind == RECORD and P.required and not P.abstract then
      return fill(field, P.default, "insert", opts, depth)
    end
    return default_of(P, depth)
  end
  return fill(field, EMPTY, "insert", nil, depth)
end
M.stand_in = stand_in

local function fill_list(P, list, context, opts, depth)
  local deep, item, item_field = P.deep, P.item, P.item_field
  local new = new_table(#list, 0)
  for k, v in next, list do
    if type(v) == "table" then
      local err
      if deep then
        v, err = fill_table(item_field, item, v, context, opts, depth)
      else
        v, err = copy(v, depth)
      end
      if err then
        return nil, err
      end
    end
    new[k] = v
  end
  local mt = getmetatable(list)
  if mt then
    setmetatable(new, mt)
  end
  if P.kind == ARRAY then
    return as_array(new)
  elseif P.kind == SET then
    return as_set(new)
  end
  return new
end

--- A completed copy of a table that is the value of a field.
function fill_table(field, P, value, context, opts, depth)
  if depth > MAX_DEPTH then
    return nil, values.TOO_DEEP
  end
  local k = P.kind
  if P.abstract or k < ARRAY or k > RECORD then
    return copy(value, depth)
  elseif k == RECORD then
    return fill(field, value, context, opts, depth)
  end
  return fill_list(P, value, context, opts, depth + 1)
end

local function automatic(code, P, value, context)
  local new = context == "insert" or context == "upsert"
  if not new and context ~= "update" then
    return value
  end
  if code == auto.UUID then
    return new and value == nil and require("kong.tools.uuid").uuid() or value
  elseif code == auto.STRING then
    return new and value == nil and require("kong.tools.rand").random_string() or value
  elseif code == auto.CREATED and (not new or value ~= nil and value ~= null) then
    return value
  end
  ngx.update_time()
  return P.kind == kind.INTEGER and ngx.time() or ngx.now()
end

-- Keys that are no fields are kept: judging complains of them.
local function keep_others(R, input, out, depth)
  for k, v in next, input do
    if R.index[k] == nil then
      if type(v) == "table" then
        local err
        v, err = copy(v, depth)
        if err then
          return nil, err
        end
      end
      out[k] = v
    end
  end
  return true
end

local function given(shorthands, input)
  for i = 1, #shorthands do
    if input[shorthands[i].name] ~= nil then
      return true
    end
  end
  return false
end

--- A completed copy of an entity or record; nil and the error. The third result: whether this is an update of a
--- schema that has immutable fields.
function fill(def, input, context, opts, depth)
  if depth > MAX_DEPTH then
    return nil, values.TOO_DEEP
  end
  local R = plan.of_record(def)
  if R.shorthands and given(R.shorthands, input) then
    local expanded, err = copy(input, depth)
    if not expanded then
      return nil, err
    end
    err = shorthand.expand(R.shorthands, expanded)
    if err then
      return nil, err
    end
    input = expanded
  end
  if def.subschema_key then
    R = plan.for_input(def, input)
  end
  local update = context == "update"
  local names, fields, plans, autos = R.names, R.fields, R.plans, R.autos
  local out = new_table(0, R.n)
  local present = 0
  for i = 1, R.n do
    local name, P = names[i], plans[i]
    local v = input[name]
    if v ~= nil then
      present = present + 1
    end
    if autos[i] then
      v = automatic(autos[i], P, v, context)
    end
    local err
    if type(v) == "table" then
      v, err = fill_table(fields[i], P, v, context, opts, depth + 1)
    elseif v == nil and not update then
      v, err = stand_in(fields[i], P, opts, depth + 1)
    end
    if err then
      return nil, depth == 1 and type(err) == "string" and { [name] = err } or err
    end
    if v ~= nil then
      out[name] = v
    end
  end
  local count = 0
  for _ in next, input do
    count = count + 1
  end
  if count ~= present then
    local ok, err = keep_others(R, input, out, depth)
    if not ok then
      return nil, depth == 1 and { ["@entity"] = { err } } or err
    end
  end
  local mt = getmetatable(input)
  if mt then
    setmetatable(out, mt)
  end
  return out, nil, update and R.immutable
end
M.fill = fill

local complete

local function complete_table(field, P, value, depth)
  local k, mt = P.kind, getmetatable(value)
  if P.abstract or k < ARRAY or k > RECORD then
    return true
  elseif k == RECORD then
    return complete(field, value, depth + 1)
  elseif k == ARRAY and mt ~= array_mt then
    return false
  elseif k == SET and mt ~= set_mt and (mt ~= array_mt or next(value) ~= nil) then
    return false
  end
  if P.deep then
    for _, v in next, value do
      if type(v) == "table" and not complete_table(P.item_field, P.item, v, depth + 1) then
        return false
      end
    end
  end
  return true
end

--- Whether completing a record would change nothing, so that it can be judged as it is.
function complete(def, input, depth)
  if depth > MAX_DEPTH then
    return false
  end
  local R = plan.for_input(def, input)
  if R.shorthands and given(R.shorthands, input) then
    return false
  end
  local names, plans = R.names, R.plans
  for i = 1, R.n do
    local v, P = input[names[i]], plans[i]
    if v == nil then
      if P.missing ~= NOTHING or R.autos[i] then
        return false
      end
    elseif type(v) == "table" and not complete_table(R.fields[i], P, v, depth) then
      return false
    end
  end
  return true
end
M.complete = complete

return M
