-- Rules across fields. A checker sees only the fields it names, never the whole entity:
-- `fn(values, argument, schema, errors)` answers true, or nil, what to put into its text, and maybe a text of
-- the schema's author.

local errors = require "moongate.schema.errors"
local types = require "moongate.schema.types"

local texts = errors.texts
local null = require("cjson").null

local M = {}

--- The value at a dotted path.
local function get(t, path)
  for part in path:gmatch("[^.]+") do
    if type(t) ~= "table" then
      return nil
    end
    t = t[part]
  end
  return t
end

local function set(t, path, value)
  local last
  for part in path:gmatch("[^.]+") do
    if last then
      if type(t[last]) ~= "table" then
        t[last] = {}
      end
      t = t[last]
    end
    last = part
  end
  t[last] = value
end

local function field_at(schema, path)
  local field = schema
  for part in path:gmatch("[^.]+") do
    if not field or not field.fields then
      return nil
    end
    field = schema.field_of(field, part)
  end
  return field
end

local function given(value)
  return value ~= nil and value ~= null and value ~= "" and not (type(value) == "table" and next(value) == nil)
end

local function count(values, names)
  local n = 0
  for _, name in ipairs(names) do
    if given(get(values, name)) then
      n = n + 1
    end
  end
  return n
end

-- The field at `path` with the rules of `match` laid over its own.
local function judged(schema, match, path, value)
  local base = field_at(schema, path)
  local field = setmetatable({}, {
    __index = function(_, k)
      local v = match[k]
      if v == nil and base then
        v = base[k]
      end
      return v
    end,
  })
  return schema:validate_field(field, value)
end

local function counting(test, options)
  options.fn = function(values, names)
    if test(count(values, names), #names) then
      return true
    end
    return nil, errors.quoted(names)
  end
  return options
end

local checkers = {
  at_least_one_of = counting(function(n) return n > 0 end, { with_missing = true, with_invalid = true }),
  only_one_of = counting(function(n) return n == 1 end, { with_invalid = true }),
  mutually_required = counting(function(n, all) return n == 0 or n == all end, { with_missing = true }),
  mutually_exclusive = counting(function(n) return n <= 1 end, { with_missing = true }),

  distinct = {
    with_invalid = true,
    fn = function(values, names)
      local seen = {}
      for _, name in ipairs(names) do
        local value = get(values, name)
        if given(value) then
          if seen[value] then
            return nil, errors.quoted(names)
          end
          seen[value] = true
        end
      end
      return true
    end,
  },

  conditional = {
    with_invalid = true,
    sources = { "if_field", "then_field" },
    required = { if_field = true },
    fn = function(values, arg, schema, tree)
      local then_value = get(values, arg.then_field)
      if then_value == nil then
        then_value = null
      end
      if not judged(schema, arg.if_match, arg.if_field, get(values, arg.if_field)) then
        return true
      end
      if arg.then_match.required == true and then_value == null then
        set(tree, arg.then_field, texts.required)
        return nil, arg.if_field
      end
      local ok, err = judged(schema, arg.then_match, arg.then_field, then_value)
      if ok then
        return true
      end
      set(tree, arg.then_field, err)
      return nil, arg.if_field, arg.then_err and arg.then_err:format(arg.if_field)
    end,
  },

  conditional_at_least_one_of = {
    with_missing = true,
    with_invalid = true,
    sources = { "if_field", "then_at_least_one_of", "else_then_at_least_one_of" },
    required = { if_field = true },
    fn = function(values, arg, schema)
      local value = get(values, arg.if_field)
      if value == nil then
        return true
      end
      local names, text = arg.then_at_least_one_of, arg.then_err
      if not judged(schema, arg.if_match, arg.if_field, value) then
        if not arg.else_match or not judged(schema, arg.else_match, arg.if_field, value) then
          return true
        end
        names, text = arg.else_then_at_least_one_of, arg.else_then_err
      end
      if count(values, names) > 0 then
        return true
      end
      return nil, errors.quoted(names), text and text:format(errors.quoted(names))
    end,
  },

  mutually_exclusive_sets = {
    with_missing = true,
    sources = { "set1", "set2" },
    required = {},
    fn = function(values, arg)
      local function present(names)
        local list = {}
        for _, name in ipairs(names) do
          if given(get(values, name)) then
            list[#list + 1] = name
          end
        end
        return list
      end
      local one, two = present(arg.set1), present(arg.set2)
      if #one == 0 or #two == 0 then
        return true
      end
      return nil, errors.quoted({ one, two })
    end,
  },

  custom_entity_check = {
    sources = { "field_sources" },
    required = { field_sources = true },
    fn = function(values, arg)
      local ran, ok, err = pcall(arg.fn, values)
      if not ran then
        return nil, "custom_entity_check failed: " .. tostring(ok)
      end
      return ok, err
    end,
  },
}

-- The paths that a check reads, and those of them that must be there.
local function paths(checker, arg)
  local list, required = {}, {}
  local function add(names, must)
    for _, name in ipairs(type(names) == "table" and names or { names }) do
      list[#list + 1] = name
      required[name] = must
    end
  end
  if not checker.sources then
    add(arg, true)
  end
  for _, source in ipairs(checker.sources or {}) do
    add(arg[source], checker.required[source])
  end
  return list, required
end

local function run(schema, name, checker, input, arg, full, tree)
  local list, required = paths(checker, arg)
  local values, absent, nothing, invalid = {}, {}, true, false
  for _, path in ipairs(list) do
    local value = get(input, path)
    local field = field_at(schema, path)
    if value ~= nil then
      nothing = false
      if field and field.referenceable and types.is_reference(value) then
        return
      end
    elseif required[path] and not checker.with_missing and not arg.run_with_missing_fields
      and not (field and field.nilable)
    then
      absent[#absent + 1] = path
    end
    invalid = invalid or get(tree, path) ~= nil
    set(values, path, value)
  end
  if invalid and not checker.with_invalid and not arg.run_with_invalid_fields
    or nothing and not (checker.with_missing and full)
  then
    return
  end
  for _, path in ipairs(absent) do
    set(tree, path, texts.required_for_entity_check)
  end
  if #absent > 0 then
    return
  end
  local ok, err, own = checker.fn(values, arg, schema, tree)
  if not ok then
    errors.entity(tree, own or texts[name] and texts[name]:format(err) or err or texts.entity_check)
  end
end

--- Runs the schema's entity checks, adding to the error tree.
function M.run(schema, input, full, tree)
  for _, check in ipairs(schema.entity_checks or {}) do
    local name, arg = next(check)
    local checker = checkers[name]
    if not checker then
      errors.entity(tree, "not supported: entity check '" .. tostring(name) .. "'")
    else
      run(schema, name, checker, input, arg, full, tree)
    end
  end
  if schema.check and full then
    local ok, err = schema.check(input)
    if ok then
      return
    end
    for k, v in pairs(type(err) == "table" and err or { err or texts.entity_check }) do
      if type(k) == "number" then
        errors.entity(tree, v)
      else
        tree[k] = v
      end
    end
  end
end

return M
