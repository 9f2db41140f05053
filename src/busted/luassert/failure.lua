-- How a failed assertion leaves: a plain Lua error, or, inside the spec runner,
-- an object that the runner can tell from an ordinary error.

local failure = { as_object = false }

local function tostring_message(self)
  return tostring(self.message)
end

-- Two metatables: a message without a string form must not gain one, or
-- `has_error` would compare text where the spec meant the table.
local with_text = { __index = {}, __tostring = tostring_message, __type = "failure" }
local without_text = { __index = {}, __type = "failure" }

local function has_text(value)
  if type(value) == "string" then return true end
  local mt = debug.getmetatable(value)
  return mt ~= nil and mt.__tostring ~= nil
end

-- The "file:line: " of the function `level` frames above the caller.
function failure.position(level)
  local info = debug.getinfo(level + 1, "Sl")
  if info and info.currentline and info.currentline > 0 then
    return info.short_src .. ":" .. info.currentline .. ": "
  end
  return ""
end

function failure.is(value)
  local mt = debug.getmetatable(value)
  return mt ~= nil and (mt == with_text or mt == without_text)
end

-- Raises `message`; `level` counts as for `error`, seen from the caller. Level 0
-- or less adds no position.
function failure.raise(message, level)
  level = tonumber(level) or 1
  if not failure.as_object then
    error(message, level > 0 and level + 1 or 0)
  end
  if type(message) == "string" and level > 0 then
    message = failure.position(level + 1) .. message
  end
  error(setmetatable({ message = message }, has_text(message) and with_text or without_text), 0)
end

return failure
