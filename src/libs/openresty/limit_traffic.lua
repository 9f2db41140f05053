-- `resty.limit.traffic`: several limiters as one.

local M = { _VERSION = "0.08" }
local max = math.max

--- The longest delay that the limiters ask for; or nil and the error of the first that refuses, the others undone.
function M.combine(limiters, keys, states)
  local n = #limiters
  local delay = 0
  for i = 1, n do
    local wait, state = limiters[i]:incoming(keys[i], i == n)
    if not wait then
      return nil, state
    end
    if states then
      states[i] = state
    end
    delay = max(delay, wait)
  end
  for i = 1, n - 1 do
    local wait, err = limiters[i]:incoming(keys[i], true)
    if not wait then
      for j = 1, i - 1 do
        limiters[j]:uncommit(keys[j])
      end
      limiters[n]:uncommit(keys[n])
      return nil, err
    end
    delay = max(delay, wait)
  end
  return delay
end

return M
