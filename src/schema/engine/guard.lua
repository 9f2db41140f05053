-- Functions that schemas bring along (custom_validator, custom_entity_check) may raise. Judging does not pay
-- for catching that: it runs unprotected, and only when something was raised runs again, each such call
-- protected, so that the error is told at its field.

local M = { on = false }

-- What was raised, as text: Lua raises anything.
local function told(err)
  if type(err) == "table" and not (getmetatable(err) or {}).__tostring then
    return require("cjson.safe").encode(err) or tostring(err)
  end
  return tostring(err)
end

--- `fn(...)`, protected; an error is the function's refusal.
function M.call(what, fn, ...)
  local ran, ok, err, err2 = pcall(fn, ...)
  if not ran then
    return nil, what .. " failed: " .. told(ok)
  end
  return ok, err, err2
end

local function after(ran, ...)
  M.on = false
  if not ran then
    error((...), 0)
  end
  return ...
end

local function first(fn, a, b, c, d, ran, ...)
  if ran then
    return ...
  end
  M.on = true
  return after(pcall(fn, a, b, c, d))
end

--- Runs `fn(a, b, c, d)`, which judges, so that what schemas' own functions raise comes out as an error of
--- the field. `fn` may run twice.
function M.run(fn, a, b, c, d)
  return first(fn, a, b, c, d, pcall(fn, a, b, c, d))
end

return M
