-- Rules across fields: `entity_checks = { { only_one_of = { "a", "b" } }, ... }`. Which paths a check reads, and
-- what their fields say, is worked out once per schema.

local guard = require "moongate.schema.engine.guard"
local plan = require "moongate.schema.engine.plan"
local values = require "moongate.schema.engine.values"
local words = require "moongate.schema.engine.texts"

local texts, quoted = words.texts, words.quoted
local null = require("cjson").null
local get, set, given, is_reference = values.get, values.set, values.given, values.is_reference
local ipairs, next, type = ipairs, next, type

local M = {
  judge = false, -- set by `judge`, which needs this module
}

local function count(entity, names)
  local n = 0
  for i = 1, #names do
    if given(get(entity, names[i])) then
      n = n + 1
    end
  end
  return n
end

-- The names of `list` that were given.
local function present(entity, list)
  local found = {}
  for _, name in ipairs(list) do
    if given(get(entity, name)) then
      found[#found + 1] = name
    end
  end
  return found
end

-- Whether a value passes `match`, rules that are laid over those of the field at `path`. `laid` has the fields made
-- so for this check, by match.
local function passes(schema, match, path, value, laid)
  local field = laid and laid[match] or plan.overlaid(match, plan.field_at(schema, path))
  return M.judge(field, value)
end

--- The checkers. `fn(entity, argument, schema, errors)` answers true; or nil, what to put into the text,
--- and maybe a text of the schema's author. `field_sources` are the keys of the argument that name fields; without, the
--- argument is a list of fields. `required_fields` are the sources whose fields must be there.
local checkers = {}
M.checkers = checkers

checkers.at_least_one_of = {
  run_with_missing_fields = true,
  run_with_invalid_fields = true,
  fn = function(entity, names)
    if count(entity, names) > 0 then
      return true
    end
    return nil, quoted(names)
  end,
}

checkers.only_one_of = {
  run_with_missing_fields = false,
  run_with_invalid_fields = true,
  fn = function(entity, names)
    if count(entity, names) == 1 then
      return true
    end
    return nil, quoted(names)
  end,
}

checkers.mutually_required = {
  run_with_missing_fields = true,
  fn = function(entity, names)
    local n = count(entity, names)
    if n == 0 or n == #names then
      return true
    end
    return nil, quoted(names)
  end,
}

checkers.mutually_exclusive = {
  run_with_missing_fields = true,
  fn = function(entity, names)
    if count(entity, names) <= 1 then
      return true
    end
    return nil, quoted(names)
  end,
}

checkers.mutually_exclusive_sets = {
  run_with_missing_fields = true,
  field_sources = { "set1", "set2" },
  required_fields = {},
  fn = function(entity, arg)
    local one, two = present(entity, arg.set1), present(entity, arg.set2)
    if #one == 0 or #two == 0 then
      return true
    end
    return nil, quoted({ one, two })
  end,
}

checkers.distinct = {
  run_with_missing_fields = false,
  run_with_invalid_fields = true,
  fn = function(entity, names)
    local seen = {}
    for _, name in ipairs(names) do
      local value = get(entity, name)
      if given(value) then
        if seen[value] then
          return nil, quoted(names)
        end
        seen[value] = true
      end
    end
    return true
  end,
}

checkers.conditional = {
  run_with_missing_fields = false,
  run_with_invalid_fields = true,
  field_sources = { "if_field", "then_field" },
  required_fields = { if_field = true },
  fn = function(entity, arg, schema, errors, laid)
    if not passes(schema, arg.if_match, arg.if_field, get(entity, arg.if_field), laid) then
      return true
    end
    local value = get(entity, arg.then_field)
    if value == nil then
      value = null
    end
    if value == null and arg.then_match.required == true then
      set(errors, arg.then_field, texts.required)
      return nil, arg.if_field
    end
    local ok, err = passes(schema, arg.then_match, arg.then_field, value, laid)
    if ok then
      return true
    end
    set(errors, arg.then_field, err)
    return nil, arg.if_field, arg.then_err and arg.then_err:format(arg.if_field)
  end,
}

checkers.conditional_at_least_one_of = {
  run_with_missing_fields = true,
  run_with_invalid_fields = true,
  field_sources = { "if_field", "then_at_least_one_of", "else_then_at_least_one_of" },
  required_fields = {},
  fn = function(entity, arg, schema, _, laid)
    local value = get(entity, arg.if_field)
    if value == nil then
      return true
    end
    local names, text = arg.then_at_least_one_of, arg.then_err
    if not passes(schema, arg.if_match, arg.if_field, value, laid) then
      if arg.else_match == nil or not passes(schema, arg.else_match, arg.if_field, value, laid) then
        return true
      end
      names, text = arg.else_then_at_least_one_of, arg.else_then_err
    end
    if count(entity, names) > 0 then
      return true
    end
    return nil, quoted(names), text and text:format(quoted(names))
  end,
}

checkers.custom_entity_check = {
  run_with_missing_fields = false,
  run_with_invalid_fields = false,
  field_sources = { "field_sources" },
  required_fields = { field_sources = true },
  -- What a schema's author wrote sees the fields that it names, and nothing else of the entity.
  projects = true,
  fn = function(entity, arg)
    if guard.on then
      return guard.call("custom_entity_check", arg.fn, entity)
    end
    return arg.fn(entity)
  end,
}

-- One path that a check reads.
local function reader(path, schema, required)
  local field = plan.field_at(schema, path)
  return {
    path = path,
    nested = path:find(".", 1, true) ~= nil,
    required = required and not (field and field.nilable),
    referenceable = field ~= nil and field.type == "string" and field.referenceable or false,
  }
end

-- The fields that a conditional check judges by.
local function conditions(arg, schema)
  local laid = {}
  for path, match in next, { if_field = "if_match", then_field = "then_match" } do
    if type(arg[match]) == "table" and type(arg[path]) == "string" then
      laid[arg[match]] = plan.overlaid(arg[match], plan.field_at(schema, arg[path]))
    end
  end
  if type(arg.else_match) == "table" then
    laid[arg.else_match] = plan.overlaid(arg.else_match, plan.field_at(schema, arg.if_field))
  end
  return laid
end

local function compile(check, schema)
  local name, arg = next(check)
  if not arg or arg == null then
    return nil
  end
  local checker = checkers[name]
  if not checker then
    error("unknown entity check: " .. tostring(name), 0)
  end
  local reads = {}
  local function add(paths, required)
    for _, path in ipairs(type(paths) == "table" and paths or { paths }) do
      reads[#reads + 1] = reader(path, schema, required)
    end
  end
  if not checker.field_sources then
    add(arg, true)
  end
  for _, source in ipairs(checker.field_sources or {}) do
    local paths = arg[source]
    if type(paths) == "string" or type(paths) == "table" then
      add(paths, checker.required_fields[source])
    end
  end
  return {
    name = name,
    arg = arg,
    checker = checker,
    reads = reads,
    laid = arg.if_match and conditions(arg, schema),
    with_missing = checker.run_with_missing_fields or arg.run_with_missing_fields,
    with_nothing = checker.run_with_missing_fields,
    with_invalid = checker.run_with_invalid_fields or arg.run_with_invalid_fields,
  }
end

-- The checks of a schema, worked out anew only if the list is another one.
local function compiled(R, slot, list, schema)
  if not list then
    return nil
  end
  local known = R[slot]
  if not known or known.source ~= list then
    known = { source = list }
    for i = 1, #list do
      known[#known + 1] = compile(list[i], schema)
    end
    R[slot] = known
  end
  return known
end

local UPDATING = {
  at_least_one_of = "when updating, ",
  conditional_at_least_one_of = "when updating, ",
}

local function refusal(check, err, own, updating)
  if own then
    return own
  end
  local text = texts[check.name]
  if text then
    return (updating and UPDATING[check.name] or "") .. text:format(tostring(err))
  end
  if err then
    return err
  end
  local shown = require("pl.pretty").write({ name = check.arg }):gsub("%s+", " ")
  return texts.entity_check:format(check.name, shown)
end

-- The entity as the check sees it; nil if the check does not run.
local function input_for(check, input, full, errors)
  local reads = check.reads
  local nothing, absent, invalid = true, nil, false
  for i = 1, #reads do
    local read = reads[i]
    local value
    if read.nested then
      value = get(input, read.path)
    else
      value = input[read.path]
    end
    if value ~= nil then
      nothing = false
      if read.referenceable and is_reference(value) then
        return nil
      end
    elseif read.required and not check.with_missing then
      absent = absent or {}
      absent[#absent + 1] = read.path
    end
    if errors and errors[read.path] ~= nil then
      invalid = true
    end
  end
  if invalid and not check.with_invalid or nothing and not (check.with_nothing and full) then
    return nil
  end
  if absent then
    return nil, absent
  end
  if not check.checker.projects then
    return input
  end
  local part = {}
  for i = 1, #reads do
    set(part, reads[i].path, get(input, reads[i].path))
  end
  return part
end

local function run(list, schema, input, full, errors, updating)
  for i = 1, #list do
    local check = list[i]
    local entity, absent = input_for(check, input, full, errors)
    if absent then
      errors = errors or {}
      local text = texts.required_for_entity_check .. (updating and " when updating" or "")
      for j = 1, #absent do
        set(errors, absent[j], text)
      end
    elseif entity then
      errors = errors or {}
      local ok, err, own = check.checker.fn(entity, check.arg, schema, errors, check.laid)
      if not ok then
        words.of_entity(errors, refusal(check, err, own, updating))
      end
    end
  end
  return errors
end

-- A schema's own `check(entity)` runs only on a whole entity.
local function run_own(def, R, input, errors, updating)
  errors = errors or {}
  local whole = true
  for i = 1, R.n do
    if input[R.names[i]] == nil and not R.fields[i].nilable then
      errors[R.names[i]] = texts.required_for_entity_check .. (updating and " when updating" or "")
      whole = false
    end
  end
  if not whole then
    return errors
  end
  local ok, err = def.check(input)
  if ok then
    return errors
  end
  if type(err) == "table" then
    for k, v in next, err do
      if type(k) == "number" then
        words.of_entity(errors, v)
      else
        errors[k] = v
      end
    end
  else
    words.of_entity(errors, err or texts.check)
  end
  return errors
end

-- The fields of a schema and its subschema, as checks of the subschema speak of them.
local function both(def, R)
  local named = setmetatable({}, {
    __index = function(_, name)
      local i = R.index[name]
      return i and R.fields[i]
    end,
  })
  return { fields = named, name = def.name }
end

--- Runs all checks of a schema. Returns the errors, those given and its own; nil if there are none.
function M.run(def, R, subschema, input, full, errors, updating)
  local list = compiled(R, "checks", def.entity_checks, def)
  if list then
    errors = run(list, def, input, full, errors, updating)
  end
  if subschema and subschema.entity_checks then
    R.both = R.both or both(def, R)
    list = compiled(R, "checks_of_subschema", subschema.entity_checks, R.both)
    errors = run(list, R.both, input, full, errors, updating)
  end
  if full and def.check then
    errors = run_own(def, R, input, errors, updating)
  end
  if errors and next(errors) == nil then
    return nil
  end
  return errors
end

return M
