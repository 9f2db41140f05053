-- `resty.lock`: a lock between all workers, kept in a shared dictionary.

local M = { _VERSION = "0.09" }
local mt = { __index = M }

local min = math.min

--- A lock over the dictionary `dict_name`; `opts`: exptime, timeout, step, ratio, max_step.
function M.new(_, dict_name, opts)
  local dict = ngx.shared[dict_name]
  if not dict then
    return nil, "dictionary not found"
  end
  opts = opts or {}
  local step = opts.step or 0.001
  local timeout = opts.timeout or 5
  local max_step = opts.max_step or 0.5
  return setmetatable({
    dict = dict,
    exptime = opts.exptime or 30,
    timeout = timeout,
    step = min(step, timeout),
    ratio = opts.ratio or 2,
    max_step = min(max_step, timeout),
  }, mt)
end

--- Locks a key: the seconds waited, or nil and an error ("timeout" when nobody let go in time).
function M:lock(key)
  if not key then
    return nil, "nil key"
  elseif self.key then
    return nil, "locked"
  end
  local dict, waited, step = self.dict, 0, self.step
  while true do
    local ok, err = dict:add(key, true, self.exptime)
    if ok then
      self.key = key
      return waited
    elseif err ~= "exists" then
      return nil, err
    end
    local left = self.timeout - waited
    if left <= 0 then
      return nil, "timeout"
    end
    local pause = min(step, left)
    ngx.sleep(pause)
    waited = waited + pause
    step = min(step * self.ratio, self.max_step)
  end
end

--- Lets go.
function M:unlock()
  local key = self.key
  if not key then
    return nil, "unlocked"
  end
  local ok, err = self.dict:delete(key)
  if not ok then
    return nil, err
  end
  self.key = nil
  return 1
end

--- Gives a held lock `exptime` more seconds.
function M:expire(exptime)
  if not self.key then
    return nil, "unlocked"
  end
  local ok, err = self.dict:replace(self.key, true, exptime or self.exptime)
  if not ok then
    return nil, err
  end
  return true
end

return M
