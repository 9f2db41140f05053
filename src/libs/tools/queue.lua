-- `kong.tools.queue`: entries that a handler gets in batches, off the request path, with retries.
--
-- A queue exists while it has work: the first entry starts a timer, which collects batches and calls the handler
-- until nothing is left.

local semaphore = require "ngx.semaphore"
local workspaces = require "kong.workspaces"

local now, sleep, null = ngx.now, ngx.sleep, ngx.null
local min = math.min

local Queue = { _CAPACITY_WARNING_THRESHOLD = 0.8 }
local mt = { __index = Queue }

-- While coalescing, a look at whether the worker is leaving this often (seconds).
local POLL = 1.0
-- A wait shorter than this is not worth it.
local WORTH_WAITING = 0.05
-- The same warning about an old parameter comes once in this many seconds.
local WARN_EVERY = 60

local queues = {}

local function key_of(name)
  return (workspaces.get_workspace_id() or "") .. "." .. name
end

-- === room ===

local function too_large(self, entry)
  return self.max_bytes and type(entry) == "string" and #entry > self.max_bytes
end

local function bytes_short(self, entry)
  return self.max_bytes and type(entry) == "string" and #entry > self.max_bytes - self.bytes_queued
end

local function full(self)
  return self:count() >= self.max_entries or self.max_bytes ~= nil and self.max_bytes == self.bytes_queued
end

--- Whether a queue of that name exists in this workspace.
function Queue.exists(name)
  return queues[key_of(name)] ~= nil
end

--- Whether a queue has entries still.
function Queue._exists(name)
  local queue = queues[key_of(name)]
  return queue and queue:count() > 0
end

--- Whether a queue can take no more; one that does not exist yet can.
function Queue.is_full(conf)
  local queue = queues[key_of(conf.name)]
  return queue ~= nil and full(queue)
end

--- Whether an entry fits without another being dropped.
function Queue.can_enqueue(conf, entry)
  local queue = queues[key_of(conf.name)]
  if not queue then
    return true
  end
  return not (full(queue) or too_large(queue, entry) or bytes_short(queue, entry))
end

-- === log ===

function Queue:log(write, format, ...)
  local text = "[" .. (self.log_tag or "") .. "] queue " .. self.name .. ": " .. format
  if select("#", ...) > 0 then
    text = text:format(...)
  end
  return write(text)
end

for _, level in ipairs { "trace", "debug", "info", "warn", "err" } do
  Queue["log_" .. level] = function(self, ...)
    return self:log(kong.log[level], ...)
  end
end

-- === entries ===

function Queue:count()
  return self.back - self.front
end

function Queue:delete_frontmost_entry()
  local entry = self.entries[self.front]
  if self.max_bytes and type(entry) == "string" then
    self.bytes_queued = self.bytes_queued - #entry
  end
  self.entries[self.front] = nil
  self.front = self.front + 1
  if self.front == self.back then
    self.front, self.back = 1, 1
  end
end

function Queue:drop_oldest_entry()
  assert(self.semaphore:count() > 0)
  self.semaphore:wait(0)
  self:delete_frontmost_entry()
end

-- === sending ===

local function send(self, entries)
  local started, tries = now(), 0
  while true do
    self:log_trace("passing %d entries to handler", #entries)
    local ran, ok, err = pcall(self.handler, self.handler_conf, entries)
    if ran and ok == true then
      self:log_trace("handler processed %d entries successfully", #entries)
      return
    end
    if not ran then
      err = ok
    end
    self:log_warn("handler could not process entries: %s", tostring(err or "no error details returned by handler"))
    if not err then
      self:log_err("handler returned falsy value but no error information")
    end
    if now() - started > self.max_retry_time then
      self:log_err("could not send entries due to max_retry_time exceeded. %d queue entries were lost", #entries)
      return
    end
    sleep(min(self.max_retry_delay, 2 ^ tries * self.initial_retry_delay))
    tries = tries + 1
  end
end

-- Waits for a first entry to be followed by others: how many make the batch.
local function coalesce(self)
  local started, n = now(), 1
  while n < self.max_batch_size do
    local left = self.max_coalescing_delay - (now() - started)
    if left < WORTH_WAITING then
      break
    end
    local patience = min(left, POLL)
    if ngx.worker.exiting() then
      -- what is left is to be out before the worker is
      self.max_coalescing_delay = WORTH_WAITING
      patience = WORTH_WAITING
    end
    local ok, err = self.semaphore:wait(patience)
    if ok then
      n = n + 1
    elseif err ~= "timeout" then
      self:log_err("could not wait for semaphore: %s", err)
      break
    end
  end
  return n
end

--- Sends one batch.
function Queue:process_once()
  local ok, err = self.semaphore:wait(0)
  if not ok then
    if err ~= "timeout" then
      self:log_err("error waiting for semaphore: %s", err)
    end
    return
  end
  local n = coalesce(self)
  local batch = { unpack(self.entries, self.front, self.front + n - 1) }
  for _ = 1, n do
    self:delete_frontmost_entry()
  end
  if self.already_dropped_entries then
    self:log_info("queue resumed processing")
    self.already_dropped_entries = false
  end
  send(self, batch)
end

local function work(_, self)
  while self:count() > 0 do
    self:log_trace("processing queue")
    self:process_once()
  end
  self:log_trace("done processing queue")
  queues[self.key] = nil
end

local function find_or_make(conf, handler, handler_conf)
  local key = key_of(conf.name)
  local self = queues[key]
  if self then
    self:log_trace("queue exists")
    self.handler_conf = handler_conf
    return self
  end
  self = setmetatable({}, mt)
  for option, value in pairs(conf) do
    self[option] = value
  end
  self.key, self.handler, self.handler_conf = key, handler, handler_conf
  self.semaphore, self.entries = semaphore.new(), {}
  self.bytes_queued, self.front, self.back = 0, 1, 1
  if self.concurrency_limit == 1 then
    kong.timer:named_at("queue " .. key, 0, work, self)
    queues[key] = self
  end
  self:log_trace("queue created")
  return self
end

-- === entering ===

local function warn_when_filling(self)
  local filling = self:count() >= self.max_entries * Queue._CAPACITY_WARNING_THRESHOLD
  if filling and not self.warned then
    self:log_warn("queue at %s%% capacity", Queue._CAPACITY_WARNING_THRESHOLD * 100)
  end
  self.warned = filling or nil
end

local function make_room(self, entry)
  if self:count() >= self.max_entries then
    self:log_err("queue full, dropping old entries until processing is successful again")
    self:drop_oldest_entry()
    self.already_dropped_entries = true
  end
  if too_large(self, entry) then
    local err = ("string to be queued is longer (%d bytes) than the queue's max_bytes (%d bytes)"):format(#entry,
      self.max_bytes)
    self:log_err(err)
    return nil, err
  end
  local dropped = 0
  while bytes_short(self, entry) do
    self:drop_oldest_entry()
    dropped = dropped + 1
    self.already_dropped_entries = true
  end
  if dropped > 0 then
    self:log_err("byte capacity exceeded, %d queue entries were dropped", dropped)
  end
  return true
end

local function put(self, entry)
  if entry == nil then
    return nil, "entry must be a non-nil Lua value"
  end
  if self.concurrency_limit == -1 then
    local ok, err = kong.timer:at(0, function(premature)
      if not premature then
        send(self, { entry })
      end
    end)
    if not ok then
      return nil, "failed to crete timer: " .. err
    end
    return true
  end
  warn_when_filling(self)
  local ok, err = make_room(self, entry)
  if not ok then
    return nil, err
  end
  if self.max_bytes then
    if type(entry) == "string" then
      self.bytes_queued = self.bytes_queued + #entry
    else
      self:log_err("queuing non-string entry to a queue that has queue.max_bytes set, "
        .. "capacity monitoring will not be correct")
    end
  end
  self.entries[self.back] = entry
  self.back = self.back + 1
  self.semaphore:post()
  return true
end

local NUMBERS = {
  "max_batch_size", "max_coalescing_delay", "max_entries", "max_retry_time", "initial_retry_delay",
  "max_retry_delay", "concurrency_limit",
}

--- Puts an entry in the queue `conf.name`, making it if need be: true, or nil and an error.
function Queue.enqueue(conf, handler, handler_conf, entry)
  assert(type(conf) == "table", "arg #1 (queue_conf) must be a table")
  assert(type(handler) == "function", "arg #2 (handler) must be a function")
  assert(handler_conf == nil or type(handler_conf) == "table", "arg #3 (handler_conf) must be a table or nil")
  assert(type(conf.name) == "string", "arg #1 (queue_conf) must include a name")
  for i = 1, #NUMBERS do
    local name = NUMBERS[i]
    if type(conf[name]) ~= "number" then
      error("arg #1 (queue_conf) " .. name .. " must be a number")
    end
  end
  assert(conf.max_bytes == nil or type(conf.max_bytes) == "number",
    "arg #1 (queue_conf) max_bytes must be a number or nil")
  return put(find_or_make(conf, handler, handler_conf), entry)
end

-- === parameters of plugins ===

local warned = {}

local function warn_now_and_then(name, text)
  local key = name .. "/" .. text
  if ngx.now() - (warned[key] or 0) >= WARN_EVERY then
    kong.log.warn(text)
    warned[key] = ngx.now()
  end
end

-- Parameters from before queues had a record of their own: name, its default then, what it is now.
local OLD = {
  { "retry_count", 10 },
  { "queue_size", 1, "max_batch_size" },
  { "flush_timeout", 2, "max_coalescing_delay" },
  { "batch_span_count", 200, "max_batch_size" },
  { "batch_flush_delay", 3, "max_coalescing_delay" },
}

--- The queue parameters in a plugin's configuration, old names translated.
function Queue.get_plugin_params(plugin_name, config, queue_name)
  local params = config.queue or {}
  local id = kong.plugin.get_id()
  local instance = config.plugin_instance_name
  params.log_tag = plugin_name .. " plugin " .. id .. (instance and " (" .. instance .. ")" or "")
  params.name = params.name or queue_name or id
  for _, old in ipairs(OLD) do
    local name, default, new = unpack(old, 1, 3)
    local value = config[name]
    if value ~= nil and value ~= null and value ~= default then
      if new then
        params[new] = value
        warn_now_and_then(params.name, "the " .. name .. " parameter is deprecated, please update your "
          .. "configuration to use queue." .. new .. " instead")
      else
        warn_now_and_then(params.name, "the " .. name .. " parameter no longer works, please update "
          .. "your configuration to use initial_retry_delay and max_retry_time instead")
      end
    end
  end
  return params
end

return Queue
