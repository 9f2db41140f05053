-- `kong.deprecation`: warnings about what is going away, through `pl.utils`.

local utils = require "pl.utils"

local M = {}

local function write(msg, trace)
  if trace then
    msg = msg .. " " .. trace
  end
  if kong and kong.log and kong.log.deprecation then
    kong.log.deprecation.write(msg)
  else
    ngx.log(ngx.WARN, msg)
  end
end

--- Sends warnings to the log, or for a command to its own.
function M.init(is_cli)
  if not is_cli then
    utils.set_deprecation_func(write)
    return
  end
  utils.set_deprecation_func(function(msg, trace)
    io.stderr:write("Warning: ", msg, trace and " " .. trace or "", "\n")
  end)
end

--- Warns; the last argument may be a table with `after`, `removal` (versions) and `trace`.
function M.raise(...)
  local n = select("#", ...)
  local when = select(n, ...)
  if type(when) ~= "table" then
    when, n = {}, n + 1
  end
  utils.raise_deprecation {
    message = table.concat({ ... }, nil, 1, n - 1),
    deprecated_after = when.after,
    version_removed = when.removal,
    no_trace = not when.trace,
  }
end

return setmetatable(M, {
  __call = function(_, ...)
    return M.raise(...)
  end,
})
