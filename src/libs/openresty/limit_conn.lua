-- `resty.limit.conn`: so many requests at once, in a shared dictionary.

local M = { _VERSION = "0.08" }
local mt = { __index = M }
local floor = math.floor

--- `max` at once, `burst` beyond that are delayed by multiples of `delay` seconds.
function M.new(dict_name, max, burst, delay)
  local dict = ngx.shared[dict_name]
  if not dict then
    return nil, "shared dict not found"
  end
  assert(max > 0 and burst >= 0 and delay > 0)
  return setmetatable({ dict = dict, max = max + 0, burst = burst, unit_delay = delay }, mt)
end

--- How long this request waits, and how many there are; or nil and "rejected".
function M:incoming(key, commit)
  local dict, max, err = self.dict, self.max, nil
  self.committed = false
  local conn
  if commit then
    conn, err = dict:incr(key, 1, 0)
    if not conn then
      return nil, err
    end
    if conn > max + self.burst then
      conn, err = dict:incr(key, -1)
      if not conn then
        return nil, err
      end
      return nil, "rejected"
    end
    self.committed = true
  else
    conn = (dict:get(key) or 0) + 1
    if conn > max + self.burst then
      return nil, "rejected"
    end
  end
  if conn > max then
    return self.unit_delay * floor((conn - 1) / max), conn
  end
  return 0, conn
end

function M:is_committed()
  return self.committed
end

--- A request is over; its time without the delay adapts the delay.
function M:leaving(key, req_latency)
  assert(key)
  local conn, err = self.dict:incr(key, -1)
  if not conn then
    return nil, err
  end
  if req_latency then
    self.unit_delay = (req_latency + self.unit_delay) / 2
  end
  return conn
end

function M:uncommit(key)
  assert(key)
  return self.dict:incr(key, -1)
end

function M:set_conn(conn)
  self.max = conn
end

function M:set_burst(burst)
  self.burst = burst
end

return M
