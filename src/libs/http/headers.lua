-- `resty.http_headers`: a table of headers whose names are found in any case; the case of the first writer
-- is kept.

local lower, type, rawget, rawset, setmetatable = string.lower, type, rawget, rawset, setmetatable

local M = {}

--- An empty table of headers.
function M.new()
  local names = {}
  return setmetatable({}, {
    __index = function(t, key)
      if type(key) == "string" then
        local name = names[lower(key)]
        return name and rawget(t, name)
      end
    end,
    -- called also for a name that was set to nil before
    __newindex = function(t, key, value)
      local plain = lower(key)
      local name = names[plain]
      if not name then
        name = key
        names[plain] = key
      end
      rawset(t, name, value)
    end,
  })
end

return M
