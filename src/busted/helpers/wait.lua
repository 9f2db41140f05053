-- Waiting for conditions.

local M = {}

-- Calls `fn` until `done(ok, result)`; its last answers otherwise.
local function poll(fn, timeout, step, done)
  timeout, step = timeout or 5, step or 0.05
  local deadline = ngx.now() + timeout
  while true do
    local ok, result, err = pcall(fn)
    if done(ok, result) then
      return true, result
    elseif ngx.now() >= deadline then
      return false, ok and err or result, ok
    end
    ngx.sleep(step)
  end
end

local function raise(what, timeout, last)
  error(("%s (after %s seconds)%s"):format(what, timeout or 5,
    last ~= nil and ", the last error was: " .. tostring(last) or ""), 3)
end

--- Waits until `fn` returns something true; an error it raises passes at once.
function M.wait_until(fn, timeout, step)
  local raised, problem = false, nil
  local ok, last = poll(fn, timeout, step, function(ran, result)
    if not ran then
      raised, problem = true, result
    end
    return raised or result
  end)
  if raised then
    error(problem, 2)
  elseif not ok then
    raise("wait_until: the condition did not become true", timeout, last)
  end
end

--- Waits until `fn` raises no error.
function M.pwait_until(fn, timeout, step)
  local ok, last = poll(fn, timeout, step, function(ran) return ran end)
  if not ok then
    raise("pwait_until: the function did not end without an error", timeout, last)
  end
end

--- Waits until a file is there ("file", "directory", ...).
function M.wait_for_file(kind, name, timeout)
  M.pwait_until(function()
    local found = assert(require("lfs").attributes(name, "mode"))
    assert(found == kind, "not a " .. kind)
  end, timeout or 10)
end

--- Waits until a file has something in it, and returns that.
function M.wait_for_file_contents(name, timeout)
  local content
  M.pwait_until(function()
    content = assert(require("pl.file").read(name))
    assert(#content > 0, "empty file")
  end, timeout or 10)
  return content
end

return M
