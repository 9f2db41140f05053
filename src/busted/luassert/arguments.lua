-- Checks that assertions and matchers make on their own arguments.

local say = require("say")
local state = require("luassert.state")
local failure = require("luassert.failure")
local util = require("luassert.util")

local arguments = {}

arguments.NUMBER = "number or object convertible to a number"
arguments.STRING = "string or object convertible to a string"

-- The text of a value for a message.
function arguments.text(value)
  return state.format_argument(value) or tostring(value)
end

-- Levels count as for `error` in the function that calls these.
function arguments.at_least(name, minimum, given, level)
  if given < minimum then
    failure.raise(say("assertion.internal.argtolittle", { name, minimum, tostring(given) }), level + 1)
  end
end

function arguments.expect(holds, position, name, expected, actual, level)
  if not holds then
    failure.raise(say("assertion.internal.badargtype", { position, name, expected, actual }), level + 1)
  end
end

-- Whether no two elements of `list` are equal (`deep`: by content).
function arguments.is_unique(list, deep)
  for key, value in pairs(list) do
    for other_key, other in pairs(list) do
      if key ~= other_key then
        if value == other or (deep and util.deepcompare(value, other, true)) then
          return false
        end
      end
    end
  end
  return true
end

return arguments
