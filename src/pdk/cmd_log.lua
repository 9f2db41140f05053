-- `kong.cmd.utils.log`: what commands say, at levels of their own.

local LEVELS = { debug = 1, verbose = 2, info = 3, warn = 4, error = 5, quiet = 6 }
local OF_NGX = { ngx.DEBUG, [3] = ngx.INFO, [4] = ngx.WARN, [5] = ngx.ERR }

local names = {}
for name, level in pairs(LEVELS) do
  names[level] = name
end

local threshold, before = LEVELS.info, nil

local M = { levels = LEVELS }

function M.set_lvl(level)
  if names[level] then
    threshold = level
  end
end

--- Says nothing until `enable`.
function M.disable()
  if not before then
    before, threshold = threshold, LEVELS.quiet
  end
end

function M.enable()
  threshold, before = before or threshold, nil
end

-- In a command to standard output and error, elsewhere into the error log.
local function say(level, message)
  if not ngx.IS_CLI then
    if OF_NGX[level] then
      ngx.log(OF_NGX[level], message)
    end
    return
  end
  if threshold < LEVELS.info or level >= LEVELS.warn then
    message = ("%s [%s] %s"):format(os.date("%Y/%m/%d %H:%M:%S"), names[level], message)
  end
  local out = level < LEVELS.warn and io.stdout or io.stderr
  out:write(message, "\n")
end

--- Says `format` with its arguments at `level`, if that is loud enough.
function M.log(level, format, ...)
  if level < threshold then
    return
  elseif format == nil then
    error("expected argument #1 or #2 to be a string", 3)
  end
  local args = { ... }
  for i = 1, select("#", ...) do
    args[i] = tostring(args[i])
  end
  say(level, tostring(format):format(unpack(args)))
end

return setmetatable(M, {
  __call = function(_, ...)
    return M.log(LEVELS.info, ...)
  end,
  __index = function(_, key)
    local level = LEVELS[key]
    if level then
      return function(...)
        M.log(level, ...)
      end
    end
  end,
})
