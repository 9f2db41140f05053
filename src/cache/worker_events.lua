-- kong.worker_events (and, unless a user brings another, resty.events.compat): news between workers. What is
-- posted reaches the handlers of every worker, the poster's too, a moment later, one event after the other; nobody
-- waits for that. What is posted to this worker alone is heard at once.

local ffi = require("ffi")
local buffer = require("string.buffer")
local ops = require("moongate.ops").cache
local running, slots = require("moongate.running"), require("moongate.slots")

local encode, decode = buffer.encode, buffer.decode
local type, error, pcall, ipairs, pairs = type, error, pcall, ipairs, pairs
local tostring, select, unpack, xpcall, traceback = tostring, select, unpack, xpcall, debug.traceback
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

local function text_of(data)
  if type(data) ~= "table" then
    return tostring(data)
  end
  local text, err = require("cjson.safe").encode(data)
  return text or tostring(err)
end

local function tell(list, data, event, source, wid)
  -- a copy: a handler may unregister itself or others
  local now = { unpack(list or {}) }
  for i = 1, #now do
    local ok, err = xpcall(now[i].callback, traceback, data, event, source, wid)
    if not ok then
      ngx_log(ERR, "worker-events: event callback failed; source=", source, ", event=", event, ", wid=", wid,
        " error='", tostring(err), "', data=", text_of(data))
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

-- Events on their way to the handlers, three values each, and which is next: one that stops who brings it (by the
-- watchdog, by an exit) takes only itself along.
local queue, at = {}, 1

-- The scope that brings them: its table and its slot, which is another's, or nobody's, once the scope is gone.
local holder, slot

--- Takes what was posted to the handlers of this worker. The gateway calls it when something is.
function M.deliver()
  if holder and slots[slot] == holder then
    return
  end
  slot = running[1]
  holder = slots[slot] or {}
  if slot ~= 0 then -- set-up code has no scope that ends
    slots[slot] = holder
  end
  repeat
    while queue[at] do
      local ok, posted = pcall(decode, queue[at + 1])
      at = at + 3
      if ok and (posted.to == nil or posted.to == me) then
        tell_all(posted.source, posted.event, posted.data, posted.wid)
      end
    end
    local over = cell[0] == seen
    if not over then
      local lost
      seen, lost, queue = ops.log_since(log, seen, 0)
      at = 1
      if lost then
        ngx_log(WARN, "worker-events: more was posted than is kept; some events are lost here")
      end
    end
  until over
  holder = nil
end

local function check(source, event)
  if type(source) ~= "string" or source == "" then
    error("source is required", 3)
  elseif type(event) ~= "string" or event == "" then
    error("event is required", 3)
  end
end

-- Posts to all workers; with `unique`, only one of those who post the same within `seconds` is heard, by one worker.
local function post(source, event, data, unique, limit, seconds)
  local to
  if unique then
    local dict = ngx.shared.kong
    to = me
    if dict and not dict:add("worker_events:unique:" .. tostring(unique), true, seconds or UNIQUE) then
      return true
    end
  end
  local wid = ngx.worker.id() or 0
  local ok, posted = pcall(encode, { source = source, event = event, data = data, wid = wid, to = to })
  if not ok then
    return nil, "failed to publish event: " .. posted
  end
  limit = limit or M.max_payload
  if limit and #posted > limit then
    return nil, "failed to publish event: payload exceeds the limitation (" .. limit .. ")"
  end
  ops.log_post(log, me, 0, source, posted)
  ops.pump()
  return true
end

local function done(ok, err)
  if not ok then
    return nil, err
  end
  return "done"
end

--- The same with a limit and a time of its own, for `resty.events`.
M._post = post

--- Posts an event to all workers; with `unique`, only one of those who post the same is heard, by one worker.
-- "done", or nil and an error.
function M.post(source, event, data, unique)
  check(source, event)
  return done(post(source, event, data, unique ~= "all" and unique or nil))
end

--- Runs the handlers of this worker, now.
function M.post_local(source, event, data)
  check(source, event)
  tell_all(source, event, data, ngx.worker.id() or 0)
  return "done"
end

--- The same by target: "all", "current" (this worker), or anything else, a name for what is unique. True, or nil
-- and an error.
function M.publish(target, source, event, data)
  if type(target) ~= "string" or target == "" then
    error("target is required", 2)
  end
  check(source, event)
  if target == "current" then
    tell_all(source, event, data, ngx.worker.id() or 0)
    return true
  end
  return post(source, event, data, target ~= "all" and target or nil)
end

local last_id = 0

local function add(callback, source, event)
  local of = handlers[source] or {}
  handlers[source] = of
  local list = of[event] or {}
  of[event] = list
  last_id = last_id + 1
  list[#list + 1] = { callback = callback, id = tostring(last_id) }
  ops.pump()
  return tostring(last_id)
end

local function check_callback(callback)
  if type(callback) ~= "function" then
    error("expected function, got: " .. type(callback), 3)
  end
end

--- Calls `callback(data, event, source, worker id)` for events of a source (all, if nil), for those named or
-- all.
function M.register(callback, source, ...)
  check_callback(callback)
  local names = select("#", ...) > 0 and { ... } or { "*" }
  for i = 1, math.max(#names, 1) do
    add(callback, source or "*", names[i] or "*")
  end
end

M.register_weak = M.register

--- The same for one event; "*" stands for every source or event. An id for `unsubscribe`.
function M.subscribe(source, event, callback)
  check(source, event)
  check_callback(callback)
  return add(callback, source, event)
end

local function remove(list, field, value)
  for i = list and #list or 0, 1, -1 do
    if list[i][field] == value then
      table.remove(list, i)
    end
  end
end

local function remove_all(field, value)
  for _, of in pairs(handlers) do
    for _, list in pairs(of) do
      remove(list, field, value)
    end
  end
end

function M.unsubscribe(id)
  if type(id) ~= "string" or id == "" then
    error("id is required", 2)
  end
  remove_all("id", id)
end

--- Takes back what `register` was told: all of it, all of a source's, or that for the events named.
function M.unregister(callback, source, ...)
  if source == nil then
    return remove_all("callback", callback)
  end
  local of = handlers[source] or {}
  if select("#", ...) == 0 then
    for _, list in pairs(of) do
      remove(list, "callback", callback)
    end
  end
  for _, event in ipairs({ ... }) do
    remove(of[event], "callback", callback)
  end
end

--- Hears what was posted, now.
function M.poll()
  M.deliver()
  return "done"
end

function M.is_ready()
  return true
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
