-- kong.resty.mlcache.ipc: events between workers, by the name of a shared dictionary.

local ffi = require("ffi")
local ops = require("moongate.ops").cache
local since, post = ops.log_since, ops.log_post
local shared, ngx_log, ERR = ngx.shared, ngx.log, ngx.ERR
local type, error, pcall, setmetatable = type, error, pcall, setmetatable

-- The events of this state bear its number, and are not told to itself.
local origin = ops.origin()

local M = {}
local mt = { __index = M }

--- The events of `shm`. With `debug`, one's own are told too.
function M.new(shm, debug)
  if not shared[shm] then
    return nil, "no such lua_shared_dict: " .. shm
  end
  local log, cell, seen = ops.log_open(shm)
  return setmetatable({
    log = log,
    -- `cell[0]` is the number of the latest event; it changes under us
    cell = ffi.cast("const volatile uint32_t *", cell),
    seen = seen,
    me = debug and 0 or origin,
    callbacks = {},
  }, mt)
end

--- Calls `cb(data)` for each event on `channel`, in `poll`.
function M:subscribe(channel, cb)
  if type(channel) ~= "string" then
    error("channel must be a string", 2)
  elseif type(cb) ~= "function" then
    error("callback must be a function", 2)
  end
  local list = self.callbacks[channel] or {}
  self.callbacks[channel] = list
  list[#list + 1] = cb
end

function M:broadcast(channel, data)
  if type(channel) ~= "string" then
    error("channel must be a string", 2)
  elseif type(data) ~= "string" then
    error("data must be a string", 2)
  end
  post(self.log, origin, 0, channel, data)
  return true
end

--- Whether something happened since the last poll.
function M:behind()
  return self.cell[0] ~= self.seen
end

local function call(channel, callback, data)
  local ok, err = pcall(callback, data)
  if not ok then
    ngx_log(ERR, "[ipc] callback for channel '", channel, "' threw a Lua error: ", err)
  end
end

--- Runs the callbacks for what happened since the last poll. If more did than is kept, `on_lost` is called
-- instead of what is missing. Nothing is waited for, so `timeout` is only checked.
function M:poll(timeout)
  if timeout ~= nil and type(timeout) ~= "number" then
    error("timeout must be a number", 2)
  end
  if self.cell[0] == self.seen then
    return true
  end
  local last, lost, events = since(self.log, self.seen, self.me)
  self.seen = last
  if lost and self.on_lost then
    self.on_lost()
  end
  for i = 1, #events, 3 do
    local channel = events[i]
    local list = self.callbacks[channel]
    for j = 1, list and #list or 0 do
      call(channel, list[j], events[i + 1])
    end
  end
  return true
end

--- Where the log stands now, for `touched`.
function M:mark()
  return self.cell[0]
end

--- Whether, since `mark`, anybody (oneself too) told `data` on `channel`, or anything on `other`.
function M:touched(mark, channel, data, other)
  return self.cell[0] ~= mark and ops.log_touched(self.log, mark, channel, data, other)
end

return M
