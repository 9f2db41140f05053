--- `resty.events`: news between workers, for those who make a bus of their own. Buses with the same `listening` are
--- one; no socket is behind it but the gateway's own way (`kong.worker_events`), so that there is no broker to run.

local running, slots = require "moongate.running", require "moongate.slots"
local scope, worker_events = require "moongate.scope", require "moongate.worker_events"

local assert, ipairs, pairs, setmetatable, tostring, type = assert, ipairs, pairs, setmetatable, tostring, type
local traceback, xpcall = debug.traceback, xpcall

local M = { _VERSION = "0.3.1" }
local mt = { __index = M }

local MOST_PAYLOAD = 16 * 1024 * 1024
-- Seconds after which it is looked whether what is there is still being heard.
local LOOK = 1
local NUMBERS = {
  { "unique_timeout", 5, 'optional "unique_timeout" option must be a number', '"unique_timeout" must be greater than 0' },
  { "max_queue_len", 10240, '"max_queue_len" option must be a number', '"max_queue_len" option is invalid' },
  { "max_payload_len", 65536, '"max_payload_len" option must be a number', '"max_payload_len" option is invalid' },
}

local function check_numbers(opts)
  for _, field in ipairs(NUMBERS) do
    local name, default, no_number, invalid = field[1], field[2], field[3], field[4]
    opts[name] = opts[name] or default
    if type(opts[name]) ~= "number" then
      return nil, no_number
    elseif opts[name] <= 0 or name == "max_payload_len" and opts[name] > MOST_PAYLOAD then
      return nil, invalid
    end
  end
  return true
end

local function check(opts)
  assert(type(opts) == "table", "Expected a table, got " .. type(opts))
  opts.broker_id = opts.broker_id or 0
  if type(opts.broker_id) ~= "number" then
    return nil, '"broker_id" option must be a number'
  elseif opts.broker_id < 0 or opts.broker_id >= ngx.worker.count() then
    return nil, '"broker_id" option is invalid'
  elseif not opts.listening then
    return nil, '"listening" option required to start'
  elseif type(opts.listening) ~= "string" then
    return nil, '"listening" option must be a string'
  elseif opts.listening:sub(1, 5) ~= "unix:" then
    return nil, '"listening" option must start with unix:'
  end
  local ok, err = check_numbers(opts)
  if not ok then
    return nil, err
  end
  for _, name in ipairs({ "enable_privileged_agent", "testing" }) do
    if opts[name] ~= nil and type(opts[name]) ~= "boolean" then
      return nil, '"' .. name .. '" option must be a boolean'
    end
  end
  return true
end

--- A bus; `listening` (`unix:` and a path) is its name.
function M.new(opts)
  assert(check(opts))
  return setmetatable({ opts = opts, _lists = {}, _functions = {}, _count = 0, _queue = {}, _first = 1, _last = 0 }, mt)
end

local function text_of(data)
  if type(data) ~= "table" then
    return tostring(data)
  end
  local text, err = require("cjson.safe").encode(data)
  return text or tostring(err)
end

local function tell(self, list, e)
  for id in pairs(list or {}) do
    local callback = self._functions[id]
    if not callback then
      list[id] = nil
    else
      local ok, err = xpcall(callback, traceback, e.data, e.event, e.source, e.wid)
      if not ok then
        ngx.log(ngx.ERR, "worker-events: event callback failed; source=", e.source, ", event=", e.event, ", wid=",
          e.wid, " error='", tostring(err), "', data=", text_of(e.data))
      end
    end
  end
end

local function tell_all(self, e)
  ngx.log(ngx.DEBUG, "worker-events: handling event; source=", e.source, ", event=", e.event, ", wid=", e.wid)
  local everywhere, here = self._lists["*"], self._lists[e.source]
  tell(self, everywhere and everywhere["*"], e)
  if here then
    tell(self, here["*"], e)
    tell(self, here[e.event], e)
  end
end

-- Whether a timer hears. A callback may end it from within (`ngx.exit`, or one that is stopped because it computes
-- for too long), and then nothing here is told; but the tables of its scope are gone.
local function is_heard(self)
  return self._hears ~= nil and slots[self._slot] == self._hears
end

local look

-- what came, one after the other, in a timer: no handler runs where an event is posted
local function drain(premature, self)
  self._asked = nil
  if premature or is_heard(self) then
    return
  end
  self._slot, self._hears = running[1], scope.tables()
  if not self._looks then
    self._looks = ngx.timer.at(LOOK, look, self)
  end
  while self._first <= self._last do
    local e = self._queue[self._first]
    self._queue[self._first] = nil
    self._first = self._first + 1
    tell_all(self, e)
    -- others have their turn, even if each event leads to the next
    ngx.sleep(0)
  end
  self._hears = nil
end

-- What a timer that was ended has left is heard by another, though nothing more may be posted.
function look(premature, self)
  self._looks = nil
  if premature then
    return
  elseif is_heard(self) then
    self._looks = ngx.timer.at(LOOK, look, self)
  else
    drain(false, self)
  end
end

-- Sees to it that a timer hears what is there.
local function rouse(self)
  local now = ngx.now()
  -- one that was asked for and did not come is not to come any more: too many ran
  if is_heard(self) or self._asked and now - self._asked < LOOK then
    return true
  end
  local ok, err = ngx.timer.at(0, drain, self)
  if not ok then
    return nil, err
  end
  self._asked = now
  return true
end

local function push(self, e)
  if self._last - self._first + 1 >= self.opts.max_queue_len then
    return nil, "queue overflow"
  end
  self._last = self._last + 1
  self._queue[self._last] = e
  if self._ready then
    return rouse(self)
  end
  return true
end

--- Begins to hear, in this worker.
function M:init_worker()
  if self._ready then
    return true
  end
  self._ready = true
  worker_events.subscribe("resty.events " .. self.opts.listening, "event", function(e, _, _, wid)
    e.wid = wid
    local ok, err = push(self, e)
    if not ok then
      ngx.log(ngx.ERR, "failed to store event: ", err, ". data is: ", text_of(e))
    end
  end)
  -- what was posted to this worker before
  if self._first <= self._last then
    rouse(self)
  end
  return true
end

--- What the broker's server calls there: there is none here, and nothing to do.
function M.run()
  return true
end

--- Whether events come in.
function M:is_ready()
  return self._ready
end

local function named(value, what)
  assert(type(value) == "string" and value ~= "", what .. " is required")
end

--- Posts to "all" workers, to the "current" one, or by any other name to one of all, once for the name.
function M:publish(target, source, event, data)
  named(target, "target")
  named(source, "source")
  named(event, "event")
  local e, ok, err = { source = source, event = event, data = data }, nil, nil
  if self.opts.testing then
    ngx.log(ngx.DEBUG, "event published to 1 workers")
    tell_all(self, e)
    return true
  elseif target == "current" then
    ok, err = push(self, e)
  else
    local bus, unique = "resty.events " .. self.opts.listening, nil
    if target ~= "all" then
      unique = bus .. " " .. target
    end
    return worker_events._post(bus, "event", e, unique, self.opts.max_payload_len, self.opts.unique_timeout)
  end
  if not ok then
    return nil, "failed to publish event: " .. err
  end
  return true
end

--- Calls `callback(data, event, source, worker id)`; "*" stands for all sources or events. An id to `unsubscribe`.
function M:subscribe(source, event, callback)
  named(source, "source")
  named(event, "event")
  assert(type(callback) == "function", "expected function, got: " .. type(callback))
  self._count = self._count + 1
  local id = tostring(self._count)
  local of = self._lists[source] or {}
  self._lists[source] = of
  of[event] = of[event] or {}
  of[event][id] = true
  self._functions[id] = callback
  return id
end

function M:unsubscribe(id)
  assert(type(id) == "string" and id ~= "", "id is required")
  self._functions[id] = nil
end

return M
