-- The built-in assertions on values and strings. A callback gets (state, arguments,
-- level) and returns whether it holds, then optionally what the assertion returns.

local assert = require("luassert.assert")
local check = require("luassert.arguments")
local util = require("luassert.util")
local errors = require("luassert.error_assertions")

local function set_message(state, message)
  if message ~= nil then
    state.failure_message = message
  end
end

-- Messages show the passed value before the expected one.
local function swap(arguments)
  arguments[1], arguments[2] = arguments[2], arguments[1]
end

local function no_format(arguments, index)
  arguments.nofmt = arguments.nofmt or {}
  arguments.nofmt[index] = true
end

local function equals(state, arguments, level)
  check.at_least("equals", 2, arguments.n, (level or 1) + 1)
  local result = arguments[1] == arguments[2]
  swap(arguments)
  set_message(state, arguments[3])
  return result
end

local function same(state, arguments, level)
  check.at_least("same", 2, arguments.n, (level or 1) + 1)
  local result, crumbs = util.deepcompare(arguments[1], arguments[2], true)
  swap(arguments)
  if crumbs then
    arguments.fmtargs = arguments.fmtargs or {}
    arguments.fmtargs[1] = { crumbs = crumbs }
    arguments.fmtargs[2] = { crumbs = crumbs }
  end
  set_message(state, arguments[3])
  return result
end

local function truthy(state, arguments, level)
  check.at_least("truthy", 1, arguments.n, (level or 1) + 1)
  set_message(state, arguments[2])
  return arguments[1] ~= false and arguments[1] ~= nil
end

local function falsy(state, arguments, level)
  check.at_least("falsy", 1, arguments.n, (level or 1) + 1)
  set_message(state, arguments[2])
  return not arguments[1]
end

local function constant(value)
  return function(state, arguments)
    util.tinsert(arguments, 2, value)
    set_message(state, arguments[3])
    return arguments[1] == value
  end
end

local function of_type(name)
  return function(state, arguments)
    util.tinsert(arguments, 2, "type " .. name)
    no_format(arguments, 2)
    set_message(state, arguments[3])
    return arguments.n > 1 and type(arguments[1]) == name
  end
end

-- unique(list [, deep [, message]]) or unique(list, message [, deep])
local function unique(state, arguments)
  local list, deep = arguments[1], nil
  if type(arguments[2]) == "boolean" or (arguments[2] == nil and arguments.n > 2) then
    deep = arguments[2]
    set_message(state, arguments[3])
  else
    if type(arguments[3]) == "boolean" then
      deep = arguments[3]
    end
    set_message(state, arguments[2])
  end
  return check.is_unique(list, deep)
end

local function near(state, arguments, level)
  level = (level or 1) + 1
  check.at_least("near", 3, arguments.n, level)
  local expected, actual, tolerance = tonumber(arguments[1]), tonumber(arguments[2]), tonumber(arguments[3])
  check.expect(expected, 1, "near", check.NUMBER, check.text(arguments[1]), level)
  check.expect(actual, 2, "near", check.NUMBER, check.text(arguments[2]), level)
  check.expect(tolerance, 3, "near", check.NUMBER, check.text(arguments[3]), level)
  swap(arguments)
  arguments[3] = tolerance
  no_format(arguments, 3)
  set_message(state, arguments[4])
  return actual >= expected - tolerance and actual <= expected + tolerance
end

local function matches(state, arguments, level)
  level = (level or 1) + 1
  check.at_least("matches", 2, arguments.n, level)
  local pattern, subject = arguments[1], arguments[2]
  local text
  if util.hastostring(subject) or type(subject) == "number" then
    text = tostring(subject)
  end
  local message, init_position = errors.take_message(arguments)
  local init, plain = arguments[3], arguments[4]
  check.expect(type(pattern) == "string", 1, "matches", "string", type(pattern), level)
  check.expect(text, 2, "matches", check.STRING, check.text(subject), level)
  check.expect(init == nil or tonumber(init), init_position, "matches", "number", type(init), level)
  swap(arguments)
  set_message(state, message)
  return errors.find(text, pattern, init, plain)
end

local function returned_arguments(_, arguments)
  local expected, got = tostring(arguments[1]), tostring(arguments.n - 1)
  arguments[1], arguments[2] = expected, got
  no_format(arguments, 1)
  no_format(arguments, 2)
  arguments.n = math.max(arguments.n, 2)
  return expected == got
end

local function register(text, callback, ...)
  for _, name in ipairs { ... } do
    assert:register("assertion", name, callback, "assertion." .. text .. ".positive", "assertion." .. text .. ".negative")
  end
end

assert:register("modifier", "message", function(state, arguments)
  if arguments then
    state.failure_message = arguments[1]
  end
end)

register("same", constant(true), "true")
register("same", constant(false), "false")
for _, name in ipairs { "boolean", "number", "string", "table", "nil", "userdata", "function", "thread" } do
  register("same", of_type(name), name)
end
register("same", same, "same")
register("equals", equals, "equals", "equal")
register("matches", matches, "matches", "match")
register("near", near, "near")
register("unique", unique, "unique")
register("truthy", truthy, "truthy")
register("falsy", falsy, "falsy")
register("returned_arguments", returned_arguments, "returned_arguments")
register("error", errors.has_error, "error", "errors")
register("error", errors.error_matches, "error_matches", "error_match", "matches_error", "match_error")
