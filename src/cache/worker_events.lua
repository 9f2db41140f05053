-- kong.worker_events (resty.events.compat): news between workers. What is posted reaches the handlers of
-- every worker, the poster's too, a moment later, one event after the other; nobody waits for that.

local ffi = require("ffi")
local buffer = require("string.buffer")
local ops = require("moongate.ops").cache

local encode, decode = buffer.encode, buffer.decode
local type, error, pcall, ipairs, pairs = type, error, pcall, ipairs, pairs
local tostring, select, unpack = tostring, select, unpack
local ngx_log, ERR, WARN = ngx.log, ngx.ERR, ngx.WARN

-- Nobody else has a number from here: `me` is told everything, by whomever it was posted.
local me = ops.origin()
local log, cell, seen = ops.log_open("kong_worker_events")
cell = ffi.cast("const volatile uint32_t *", cell)

-- How long the same `unique` event counts as one, in seconds.
local UNIQUE = 5

local M = { _VERSION = "0.1.0" }

-- handlers[source][event] = list; "*" stands for all sources, or all events of one
local handlers = {}

local function tell(list, data, event, source, wid)
  -- a copy: a handler may unregister itself or others
  local now = { unpack(list or {}) }
  for i = 1, #now do
    local ok, err = pcall(now[i], data, event, source, wid)
    if not ok then
      ngx_log(ERR, "worker-events: event callback failed; source=", source, ", event=", event, ", err: ", err)
    end
  end
end

local function tell_all(source, event, data, wid)
  local everywhere, here = handlers["*"], handlers[source]
  if everywhere then
    tell(everywhere["*"], data, event, source, wid)
  end
  if here then
    tell(here["*"], data, event, source, wid)
    tell(here[event], data, event, source, wid)
  end
end

local delivering

--- Takes what was posted to the handlers of this worker. The gateway calls it when something is.
function M.deliver()
  if delivering then
    return
  end
  delivering = true
  while cell[0] ~= seen do
    local last, lost, events = ops.log_since(log, seen, 0)
    seen = last
    if lost then
      ngx_log(WARN, "worker-events: more was posted than is kept; some events are lost here")
    end
    for i = 1, #events, 3 do
      local ok, posted = pcall(decode, events[i + 1])
      if ok and (posted.to == nil or posted.to == me) then
        tell_all(posted.source, posted.event, posted.data, posted.wid)
      end
    end
  end
  delivering = nil
end

local function check(source, event)
  if type(source) ~= "string" or source == "" then
    return nil, "source is required"
  elseif type(event) ~= "string" or event == "" then
    return nil, "event is required"
  end
  return true
end

--- Posts an event to all workers; with `unique`, only one of those who post the same is heard, by one worker.
function M.post(source, event, data, unique)
  local ok, err = check(source, event)
  if not ok then
    return nil, err
  end
  local to
  if unique then
    local dict = ngx.shared.kong
    to = me
    if dict and not dict:add("worker_events:unique:" .. tostring(unique), true, UNIQUE) then
      return "done"
    end
  end
  local posted
  local wid = ngx.worker.id() or 0
  ok, posted = pcall(encode, { source = source, event = event, data = data, wid = wid, to = to })
  if not ok then
    return nil, "failed to publish event: " .. posted
  end
  local limit = M.max_payload
  if limit and #posted > limit then
    return nil, "failed to publish event: payload exceeds the limitation (" .. limit .. ")"
  end
  ops.log_post(log, me, 0, source, posted)
  ops.pump()
  return "done"
end

--- Runs the handlers of this worker, now.
function M.post_local(source, event, data)
  local ok, err = check(source, event)
  if not ok then
    return nil, err
  end
  tell_all(source, event, data, ngx.worker.id() or 0)
  return "done"
end

--- Calls `callback(data, event, source, worker id)` for events of a source (all, if nil), for those named or
-- all.
function M.register(callback, source, ...)
  if type(callback) ~= "function" then
    error("expected function, got: " .. type(callback), 2)
  end
  source = source or "*"
  local of = handlers[source] or {}
  handlers[source] = of
  local names = select("#", ...) > 0 and { ... } or { "*" }
  for _, event in ipairs(names) do
    local list = of[event] or {}
    of[event] = list
    list[#list + 1] = callback
  end
  ops.pump()
end

M.register_weak = M.register

local function remove(list, callback)
  for i = list and #list or 0, 1, -1 do
    if list[i] == callback then
      table.remove(list, i)
    end
  end
end

--- Takes back what `register` was told: for the events named, or all of the source's.
function M.unregister(callback, source, ...)
  local of = handlers[source or "*"]
  if not of then
    return
  end
  if select("#", ...) == 0 then
    for _, list in pairs(of) do
      remove(list, callback)
    end
  end
  for _, event in ipairs({ ... }) do
    remove(of[event], callback)
  end
end

--- Hears what was posted, now.
function M.poll()
  M.deliver()
  return "done"
end

function M.configure(opts)
  M.max_payload = opts and opts.max_payload_len
  return true
end

function M.configured()
  return true
end

function M.run()
  return true
end

return M
