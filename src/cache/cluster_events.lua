-- kong.cluster_events: news between nodes. There is one node, and a node is not told its own news, so what is
-- broadcast reaches nobody; callbacks are kept as they would be with others.

local error, type, setmetatable = error, type, setmetatable

local M = {}
local mt = { __index = M }

local function check(opts, name)
  if opts[name] and type(opts[name]) ~= "number" then
    error("opts." .. name .. " must be a number", 3)
  end
end

function M.new(opts)
  opts = opts or {}
  check(opts, "poll_interval")
  check(opts, "poll_offset")
  check(opts, "poll_delay")
  return setmetatable({ channels = {}, callbacks = {}, node_id = opts.node_id, use_polling = false }, mt)
end

function M:broadcast(channel, data, delay)
  if type(channel) ~= "string" then
    return nil, "channel must be a string"
  elseif type(data) ~= "string" then
    return nil, "data must be a string"
  elseif delay and type(delay) ~= "number" then
    return nil, "delay must be a number"
  end
  return true
end

function M:subscribe(channel, cb)
  if type(channel) ~= "string" then
    error("channel must be a string", 2)
  elseif type(cb) ~= "function" then
    error("callback must be a function", 2)
  end
  local list = self.callbacks[channel]
  if not list then
    list = {}
    self.callbacks[channel] = list
    self.channels[#self.channels + 1] = channel
  end
  list[#list + 1] = cb
  return true
end

return M
