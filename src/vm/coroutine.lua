-- coroutine.resume and coroutine.wrap that let a wait or an exit of the gateway pass outward through user
-- coroutines to the driver. No closure is built per resume.

local WAIT, EXIT = ...
local raw_resume, raw_yield, raw_create = coroutine.resume, coroutine.yield, coroutine.create
local error = error

local function resumed(co, ok, first, ...)
  if ok and (first == WAIT or first == EXIT) then
    return resumed(co, raw_resume(co, raw_yield(first, ...)))
  end
  return ok, first, ...
end

function coroutine.resume(co, ...)
  return resumed(co, raw_resume(co, ...))
end

local function unwrapped(ok, first, ...)
  if ok then
    return first, ...
  end
  -- as the stock wrap: a string gets the position of the caller
  return error(first, 2)
end

function coroutine.wrap(f)
  local co = raw_create(f)
  return function(...)
    return unwrapped(resumed(co, raw_resume(co, ...)))
  end
end
