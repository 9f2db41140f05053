-- Turns a JSON schema (draft 4) into checks. A node is a list of checks, each a function of the value that
-- returns nil or an error text; a schema that refers to itself is a node that refers to itself.

local values = require "moongate.libs.ljsonschema.values"

local kind_of, name_of, number_text, equal = values.kind, values.name, values.number, values.equal
local type, pairs, ipairs, floor = type, pairs, ipairs, math.floor

local function sorted(t)
  local keys = {}
  for k in pairs(t) do keys[#keys + 1] = k end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  return keys
end

local function run(node, v)
  if node.coerce then
    v = node.coerce(v)
  end
  for i = 1, #node do
    local err = node[i](v)
    if err then
      return err
    end
  end
end

-- === types ===

local LUA_TYPES = { string = true, boolean = true, number = true, table = true, ["function"] = true }

local function is_type(how, name)
  if name == "object" then
    return function(v) return type(v) == "table" and kind_of(v, how.array_mt) <= 1 end
  elseif name == "array" then
    return function(v) return type(v) == "table" and kind_of(v, how.array_mt) >= 1 end
  elseif name == "integer" then
    return function(v) return type(v) == "number" and v % 1 == 0 end
  elseif name == "null" then
    return function(v) return v == how.null end
  elseif LUA_TYPES[name] then
    return function(v) return type(v) == name end
  end
  error("invalid JSON type: " .. tostring(name))
end

-- Checks for values of one type; others pass.
local function add_checks(node, checks, suits)
  if #checks > 0 then
    node[#node + 1] = function(v)
      return suits(v) and run(checks, v) or nil
    end
  end
end

local function coercion(types)
  local boolean, number = false, false
  for _, name in ipairs(types) do
    boolean = boolean or name == "boolean"
    number = number or name == "number" or name == "integer"
  end
  if not boolean and not number then
    return nil
  end
  return function(v)
    if type(v) == "string" then
      if boolean and (v == "true" or v == "false") then
        return v == "true"
      elseif number then
        return tonumber(v) or v
      end
    end
    return v
  end
end

local function add_type(node, schema, how)
  local wanted = schema.type
  if wanted == nil then
    return
  elseif type(wanted) ~= "string" and type(wanted) ~= "table" then
    error('invalid "type" type: got ' .. type(wanted))
  end
  local types = type(wanted) == "table" and wanted or { wanted }
  if how.coercion then
    node.coerce = coercion(types)
  end
  local tests = {}
  for i, name in ipairs(types) do
    tests[i] = is_type(how, name)
  end
  local expected = (wanted == types and "one of " or "") .. table.concat(types, ", ")
  node[#node + 1] = function(v)
    for i = 1, #tests do
      if tests[i](v) then
        return nil
      end
    end
    return "wrong type: expected " .. expected .. ", got " .. name_of(v, how)
  end
end

-- === objects ===

local function dependency(how, prop, needed)
  if #needed > 0 then
    return function(v)
      for _, other in ipairs(needed) do
        if v[other] == nil then
          return "property " .. other .. " is required when " .. prop .. " is set"
        end
      end
    end
  end
  local node = how.node(needed)
  return function(v)
    local err = run(node, v)
    return err and "failed to validate dependent schema for " .. prop .. ": " .. err
  end
end

local function property_checks(schema, how)
  local checks, required = {}, {}
  local dependencies, properties = schema.dependencies or {}, schema.properties or {}
  for _, prop in ipairs(schema.required or {}) do required[prop] = true end
  for _, prop in ipairs(sorted(properties)) do
    local node, must = how.node(properties[prop]), required[prop]
    local also = dependencies[prop] and dependency(how, prop, dependencies[prop])
    required[prop] = nil
    checks[#checks + 1] = function(v)
      local value = v[prop]
      if value == nil then
        return must and "property " .. prop .. " is required"
      end
      local err = run(node, value)
      if err then
        return "property " .. prop .. " validation failed: " .. err
      end
      return also and also(v)
    end
  end
  for _, prop in ipairs(sorted(required)) do
    checks[#checks + 1] = function(v)
      return v[prop] == nil and "property " .. prop .. " is required"
    end
  end
  for _, prop in ipairs(sorted(dependencies)) do
    if not properties[prop] then
      local check = dependency(how, prop, dependencies[prop])
      checks[#checks + 1] = function(v)
        return v[prop] ~= nil and check(v)
      end
    end
  end
  return checks
end

local function add_patterns(checks, schema, how)
  local patterns, nodes = sorted(schema.patternProperties or {}), {}
  for i, pattern in ipairs(patterns) do
    nodes[i] = how.node(schema.patternProperties[pattern])
  end
  local more, known = schema.additionalProperties, schema.properties or {}
  local closed = more ~= nil and more ~= true
  local more_node = type(more) == "table" and how.node(more)
  if #patterns == 0 and not closed then
    return
  end
  checks[#checks + 1] = function(v)
    for prop, value in pairs(v) do
      local matched = closed and known[prop] ~= nil
      for i, pattern in ipairs(patterns) do
        if how.match_pattern(prop, pattern) then
          local err = run(nodes[i], value)
          if err then
            return "failed to validate " .. prop .. " (matching " .. pattern .. "): " .. err
          end
          matched = true
        end
      end
      if closed and not matched then
        if not more_node then
          return "additional properties forbidden, found " .. tostring(prop)
        end
        local err = run(more_node, value)
        if err then
          return "failed to validate additional property " .. prop .. ": " .. err
        end
      end
    end
  end
end

local function add_object(node, schema, how)
  local checks = property_checks(schema, how)
  add_patterns(checks, schema, how)
  local min, max = schema.minProperties, schema.maxProperties
  if min or max then
    checks[#checks + 1] = function(v)
      local n = 0
      for _ in pairs(v) do n = n + 1 end
      if min and n < min then
        return "expect object to have at least " .. min .. " properties"
      elseif max and n > max then
        return "expect object to have at most " .. max .. " properties"
      end
    end
  end
  add_checks(node, checks, is_type(how, "object"))
end

-- === arrays ===

local function tuple(schema, how)
  local nodes, more = {}, schema.additionalItems
  for i, item in ipairs(schema.items) do
    nodes[i] = how.node(item)
  end
  local more_node = type(more) == "table" and how.node(more)
  return function(v)
    for i, node in ipairs(nodes) do
      if v[i] == nil then
        return nil
      end
      local err = run(node, v[i])
      if err then
        return "failed to validate item " .. i .. ": " .. err
      end
    end
    if more == false and v[#nodes + 1] ~= nil then
      return "found unexpected extra items in array"
    end
    for i = more_node and #nodes + 1 or 1, more_node and #v or 0 do
      local err = run(more_node, v[i])
      if err then
        return ("failed to validate additional item %d: %s"):format(i, err)
      end
    end
  end
end

local function each(schema, how)
  local node = how.node(schema.items)
  return function(v)
    for i, item in ipairs(v) do
      local err = run(node, item)
      if err then
        return ("failed to validate item %d: %s"):format(i, err)
      end
    end
  end
end

local function unique(v)
  local seen = {}
  for i = 1, #v do
    local item = v[i]
    if type(item) == "table" then
      for j = 1, i - 1 do
        if equal(v[j], item) then
          return ("expected unique items but items %d and %d are equal"):format(i, j)
        end
      end
    elseif seen[item] then
      return ("expected unique items but items %d and %d are equal"):format(i, seen[item])
    elseif item ~= nil then
      seen[item] = i
    end
  end
end

local function add_array(node, schema, how)
  local checks, min, max = {}, schema.minItems, schema.maxItems
  if min or max then
    checks[1] = function(v)
      if min and #v < min then
        return "expect array to have at least " .. min .. " items"
      elseif max and #v > max then
        return "expect array to have at most " .. max .. " items"
      end
    end
  end
  if schema.items then
    checks[#checks + 1] = (#schema.items > 0 and tuple or each)(schema, how)
  end
  if schema.uniqueItems then
    checks[#checks + 1] = unique
  end
  add_checks(node, checks, is_type(how, "array"))
end

-- === texts and numbers ===

local function format_error(format, v)
  if format == "date" or format == "date-time" then
    local date, time = v, nil
    if format == "date-time" then
      date, time = v:match("^(.+)[tT](.+)$")
    end
    local ok, leap = values.is_date(date or "")
    if leap then
      return ("expected valid leap year date, got %q"):format(v)
    elseif not ok or time and not values.is_time(time) then
      return ("expected valid %q, got %q"):format(format, v)
    end
  elseif format == "time" and not values.is_time(v) then
    return ("expected valid %q, got %q"):format(format, v)
  end
end

local function add_text(node, schema, how)
  local min, max, pattern, format = schema.minLength, schema.maxLength, schema.pattern, schema.format
  if not (min or max or pattern or format) then
    return
  end
  node[#node + 1] = function(v)
    if type(v) ~= "string" then
      return nil
    end
    local length = how.str_len(v)
    if not length then
      return "failed to get string length, invalid utf8"
    elseif min and length < min then
      return ("string too short, expected at least %d, got %d"):format(min, length)
    elseif max and length > max then
      return ("string too long, expected at most %d, got %d"):format(max, length)
    elseif pattern and not how.match_pattern(v, pattern) then
      return ("failed to match pattern %s with %q"):format(pattern, v)
    end
    return format and format_error(format, v)
  end
end

local function add_number(node, schema)
  local min, max, factor = schema.minimum, schema.maximum, schema.multipleOf
  local above, below = schema.exclusiveMinimum, schema.exclusiveMaximum
  if not (min or max or factor) then
    return
  end
  -- the misspelt word is the library's, and users see it
  local beyond = "expected %s to be %s than %s"
  node[#node + 1] = function(v)
    if type(v) ~= "number" then
      return nil
    elseif min and (v < min or above and v == min) then
      return beyond:format(number_text(v), above and "sctrictly greater" or "greater", number_text(min))
    elseif max and (v > max or below and v == max) then
      return beyond:format(number_text(v), below and "sctrictly smaller" or "smaller", number_text(max))
    elseif factor then
      local times = v / factor
      local fits = factor % 1 == 0 and v % factor == 0 or factor % 1 ~= 0 and floor(times) == times
        and times ~= math.huge and times ~= -math.huge
      return not fits and ("expected %s to be a multiple of %s"):format(tostring(v), tostring(factor)) or nil
    end
  end
end

local function add_enum(node, schema)
  local enum = schema.enum
  if enum then
    node[#node + 1] = function(v)
      for i = 1, #enum do
        if equal(enum[i], v) then
          return nil
        end
      end
      return "matches none of the enum values"
    end
  end
end

-- === several schemas ===

local function nodes_of(schemas, how)
  local nodes = {}
  for i, schema in ipairs(schemas) do
    nodes[i] = how.node(schema)
  end
  return nodes
end

local function add_all(node, schema, how)
  if not schema.allOf then
    return
  end
  local nodes = nodes_of(schema.allOf, how)
  node[#node + 1] = function(v)
    for i = 1, #nodes do
      local err = run(nodes[i], v)
      if err then
        return "allOf " .. i .. " failed: " .. err
      end
    end
  end
end

local function add_any(node, schema, how)
  if not schema.anyOf then
    return
  end
  local nodes = nodes_of(schema.anyOf, how)
  node[#node + 1] = function(v)
    local errors = {}
    for i = 1, #nodes do
      local err = run(nodes[i], v)
      if not err then
        return nil
      end
      errors[i] = i .. ") " .. err
    end
    return "object needs one of the following rectifications: " .. table.concat(errors, "; ")
  end
end

local function add_one(node, schema, how)
  if not schema.oneOf then
    return
  end
  local nodes = nodes_of(schema.oneOf, how)
  node[#node + 1] = function(v)
    local matched
    for i = 1, #nodes do
      if not run(nodes[i], v) then
        if matched then
          return ("value should match only one schema, but matches both schemas %d and %d"):format(matched, i)
        end
        matched = i
      end
    end
    return not matched and "value should match only one schema, but matches none"
  end
end

local function add_not(node, schema, how)
  if schema["not"] then
    local denied = how.node(schema["not"])
    node[#node + 1] = function(v)
      return not run(denied, v) and "value wasn't supposed to match schema" or nil
    end
  end
end

local PARTS = {
  add_type, add_object, add_array, add_text, add_number, add_enum, add_all, add_any, add_one, add_not,
}

--- A function that runs the checks of a schema: nil, or an error.
return function(schema, refs, how)
  local nodes = {}
  function how.node(part)
    local target = refs:resolve(part)
    local node = nodes[target]
    if not node then
      node = {}
      nodes[target] = node
      for _, add in ipairs(PARTS) do
        add(node, target, how)
      end
    end
    return node
  end
  local root = how.node(schema)
  return function(v)
    return run(root, v)
  end
end
