-- What the runner asks of the outside, as the table of functions given to `busted.cli`:
--   read_file(path) -> text | nil, err      write_file(path, text) -> true | nil, err
--   list_dir(path) -> { {name=, kind="file"|"dir"} } | nil, err
--   is_dir(path)   monotonic() seconds      isatty()        getenv(name)
-- and, where the host has them: is_file(path), chdir(path), current_dir(), now(),
-- sleep(seconds), write(text), write_error(text).
-- Runs may be nested (a spec that runs specs), so hosts are a stack.

local stdout, stderr = io.stdout, io.stderr

local stack = {}
local host = {}

local defaults = {
  write = function(text)
    stdout:write(text)
    stdout:flush()
  end,
  write_error = function(text)
    stdout:flush()
    stderr:write(text)
  end,
  now = os.time,
  getenv = os.getenv,
  monotonic = os.clock,
  isatty = function() return false end,
  is_dir = function() return false end,
}

-- The host of the innermost run, or the defaults outside any run.
function host.current()
  return stack[#stack] or defaults
end

function host.push(given)
  local filled = setmetatable({}, {
    __index = function(_, name)
      local value = given[name]
      if value == nil then value = defaults[name] end
      return value
    end,
  })
  stack[#stack + 1] = filled
  return filled
end

function host.pop()
  stack[#stack] = nil
end

-- Calls a host function that not every host has.
function host.need(name)
  local func = host.current()[name]
  if not func then
    error("not supported: " .. name, 2)
  end
  return func
end

return host
