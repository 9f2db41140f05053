-- The built-in matchers. A callback gets (state, arguments, level) and returns the
-- predicate on one value.

local assert = require("luassert.assert")
local check = require("luassert.arguments")
local match = require("luassert.match")
local util = require("luassert.util")

local function equals(_, arguments, level)
  check.at_least("equals", 1, arguments.n, (level or 1) + 1)
  return function(value)
    return value == arguments[1]
  end
end

local function same(_, arguments, level)
  check.at_least("same", 1, arguments.n, (level or 1) + 1)
  return function(value)
    return (util.deepcompare(value, arguments[1], true))
  end
end

local REFERENCES = { table = true, ["function"] = true, thread = true, userdata = true }

local function ref(_, arguments, level)
  level = (level or 1) + 1
  local kind = type(arguments[1])
  check.at_least("ref", 1, arguments.n, level)
  check.expect(REFERENCES[kind], 1, "ref", "object", kind, level)
  return function(value)
    return rawequal(value, arguments[1])
  end
end

local function near(_, arguments, level)
  level = (level or 1) + 1
  check.at_least("near", 2, arguments.n, level)
  local expected, tolerance = tonumber(arguments[1]), tonumber(arguments[2])
  check.expect(expected, 1, "near", check.NUMBER, check.text(arguments[1]), level)
  check.expect(tolerance, 2, "near", check.NUMBER, check.text(arguments[2]), level)
  return function(value)
    local actual = tonumber(value)
    return actual ~= nil and actual >= expected - tolerance and actual <= expected + tolerance
  end
end

local function matches(_, arguments, level)
  level = (level or 1) + 1
  check.at_least("matches", 1, arguments.n, level)
  local pattern, init, plain = arguments[1], arguments[2], arguments[3]
  check.expect(type(pattern) == "string", 1, "matches", "string", type(pattern), level)
  check.expect(init == nil or tonumber(init), 2, "matches", "number", type(init), level)
  return function(value)
    if not (type(value) == "number" or util.hastostring(value)) then
      return false
    end
    return tostring(value):find(pattern, init, plain) ~= nil
  end
end

local function unique(_, arguments)
  return function(value)
    return check.is_unique(value, arguments[1])
  end
end

local function predicate(test)
  return function()
    return test
  end
end

-- all_of, any_of, none_of: the verdict when a matcher's answer is `stop`, else its opposite.
local function composite(name, stop, verdict)
  return function(_, arguments, level)
    level = (level or 1) + 1
    check.at_least(name, 1, arguments.n, level)
    for i = 1, arguments.n do
      check.expect(match.is_matcher(arguments[i]), i, name, "matcher", type(arguments[i]), level)
    end
    return function(value)
      for i = 1, arguments.n do
        if arguments[i](value) == stop then
          return verdict
        end
      end
      return not verdict
    end
  end
end

local function register(callback, ...)
  for _, name in ipairs { ... } do
    assert:register("matcher", name, callback)
  end
end

register(predicate(function(value) return value == true end), "true")
register(predicate(function(value) return value == false end), "false")
register(predicate(function(value) return not not value end), "truthy")
register(predicate(function(value) return not value end), "falsy")
for _, kind in ipairs { "nil", "boolean", "number", "string", "table", "function", "userdata", "thread" } do
  register(predicate(function(value) return type(value) == kind end), kind)
end
register(equals, "equals", "equal")
register(same, "same")
register(ref, "ref")
register(near, "near")
register(matches, "matches", "match")
register(unique, "unique")
register(composite("all", false, false), "all_of")
register(composite("any", true, true), "any_of")
register(composite("none", true, false), "none_of")
