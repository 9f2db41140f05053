-- `resty.limit.req`: a leaky bucket for each key, in a shared dictionary.

local ffi = require "ffi"
local M = { _VERSION = "0.08" }
local mt = { __index = M }
local abs, max = math.abs, math.max

ffi.cdef "typedef struct { double excess; uint64_t last; } moongate_limit_req_t;"
local record = ffi.new("moongate_limit_req_t[1]")
local size = ffi.sizeof("moongate_limit_req_t")
local pointer = ffi.typeof("const moongate_limit_req_t *")

--- `rate` and `burst` in requests per second.
function M.new(dict_name, rate, burst)
  local dict = ngx.shared[dict_name]
  if not dict then
    return nil, "shared dict not found"
  end
  assert(rate > 0 and burst >= 0)
  return setmetatable({ dict = dict, rate = rate * 1000, burst = burst * 1000 }, mt)
end

--- How long this request waits, and the excess (requests per second); or nil and "rejected".
function M:incoming(key, commit)
  local dict, rate, now = self.dict, self.rate, ngx.now() * 1000
  local excess
  local kept = dict:get(key)
  if kept then
    if type(kept) ~= "string" or #kept ~= size then
      return nil, "shdict abused by other users"
    end
    local was = ffi.cast(pointer, kept)
    local elapsed = now - tonumber(was.last)
    excess = max(was.excess - rate * abs(elapsed) / 1000 + 1000, 0)
    if excess > self.burst then
      return nil, "rejected"
    end
  else
    excess = 0
  end
  if commit then
    record[0].excess = excess
    record[0].last = now
    dict:set(key, ffi.string(record, size))
  end
  return excess / rate, excess / 1000
end

--- Takes a committed request back.
function M:uncommit(key)
  local kept = self.dict:get(key)
  if not kept then
    return nil, "not found"
  elseif type(kept) ~= "string" or #kept ~= size then
    return nil, "shdict abused by other users"
  end
  local was = ffi.cast(pointer, kept)
  record[0].excess = max(was.excess - 1000, 0)
  record[0].last = was.last
  self.dict:set(key, ffi.string(record, size))
  return true
end

function M:set_rate(rate)
  self.rate = rate * 1000
end

function M:set_burst(burst)
  self.burst = burst * 1000
end

return M
