-- Assertions on what a function raises, and the pattern search they share with `matches`.

local check = require("luassert.arguments")
local util = require("luassert.util")

local errors = {}

-- Takes a custom failure message out of arguments three and on: the first value
-- that is neither a boolean nor a number. The second result is where `init` stood.
function errors.take_message(arguments)
  for i = 3, arguments.n do
    local value = arguments[i]
    if value and type(value) ~= "boolean" and not tonumber(value) then
      return util.tremove(arguments, i), i == 3 and 4 or 3
    end
  end
  return nil, 3
end

-- Whether `text` has `pattern`, and the captures to return.
function errors.find(text, pattern, init, plain)
  if plain then
    local found = text:find(pattern, init, true) ~= nil
    return found, found and { pattern } or {}
  end
  local captures = { text:match(pattern, init) }
  return captures[1] ~= nil, captures
end

-- Calls `func`; a string error loses its "file:line: ".
local function catch(func)
  local ok, raised = pcall(func)
  if type(raised) == "string" then
    raised = raised:gsub("^.-:%d+: ", "", 1)
  end
  return ok, raised
end

-- Prepares the message: what was caught beside what was expected.
local function show(arguments, ok, raised, expected, expected_is_text)
  if ok then
    arguments[1] = "(no error)"
  else
    arguments[1] = raised
  end
  arguments[2] = expected
  arguments.n = 2
  arguments.nofmt = { ok, expected_is_text }
end

function errors.has_error(state, arguments, level)
  level = (level or 1) + 1
  local returns = util.shallowcopy(arguments)
  local func, expected, message = arguments[1], arguments[2], arguments[3]
  check.expect(util.callable(func), 1, "error", "function or callable object", type(func), level)

  local ok, raised = catch(func)
  returns[1] = raised
  if expected == nil then
    show(arguments, ok, raised, "(error)", true)
  else
    show(arguments, ok, raised, expected, false)
  end
  if message ~= nil then
    state.failure_message = message
  end

  if ok or expected == nil then
    return not ok, returns
  end
  if type(expected) == "string" then
    if util.hastostring(raised) then
      raised = tostring(raised)
      returns[1] = raised
    end
    if type(raised) == "string" then
      return expected == raised, returns
    end
  elseif type(expected) == "number" and type(raised) == "string" then
    return expected == tonumber(raised), returns
  end
  return (util.deepcompare(expected, raised, true)), returns
end

function errors.error_matches(state, arguments, level)
  level = (level or 1) + 1
  local returns = util.shallowcopy(arguments)
  local func, pattern = arguments[1], arguments[2]
  check.at_least("error_matches", 2, arguments.n, level)
  check.expect(util.callable(func), 1, "error_matches", "function or callable object", type(func), level)
  check.expect(pattern == nil or type(pattern) == "string", 2, "error", "string", type(pattern), level)
  local message, init_position = errors.take_message(arguments)
  local init, plain = arguments[3], arguments[4]
  check.expect(init == nil or tonumber(init), init_position, "matches", "number", type(init), level)

  local ok, raised = catch(func)
  returns[1] = raised
  show(arguments, ok, raised, pattern, false)
  if message ~= nil then
    state.failure_message = message
  end

  if ok then
    return false, returns
  end
  if raised == nil and pattern == nil then
    return true, {}
  end
  if util.hastostring(raised) or type(raised) == "number" or type(raised) == "boolean" then
    raised = tostring(raised)
    returns[1] = raised
  end
  if type(raised) ~= "string" or pattern == nil then
    return false, returns
  end
  local found, captures = errors.find(raised, pattern, init, plain)
  return found, found and captures or returns
end

return errors
