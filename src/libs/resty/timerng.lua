-- `resty.timerng`: timers with names that can be cancelled, over `ngx.timer`. Each is a timer of the
-- runtime's own; there is no pool of threads to size, so the options are taken and not used.

local M = {}
local mt = { __index = M }

-- taken now: what is called so later may itself go through here
local at = ngx.timer.at

local count = 0

--- A set of timers.
function M.new()
  return setmetatable({ jobs = {}, enabled = false, runs = 0, pending = 0, running = 0 }, mt)
end

function M:start()
  self.enabled = true
  return true
end

function M:freeze()
  self.enabled = false
end

M.unfreeze = M.start

function M:destroy()
  self.enabled = false
  self.jobs = {}
end

local function run(self, job, premature, ...)
  if self.jobs[job.name] ~= job or job.paused then
    return
  end
  if job.once then
    self.jobs[job.name] = nil
    self.pending = self.pending - 1
  end
  self.runs, self.running = self.runs + 1, self.running + 1
  local ok, err = xpcall(job.callback, debug.traceback, premature, ...)
  self.running = self.running - 1
  if not ok then
    ngx.log(ngx.ERR, "[timer-ng] timer ", job.name, " failed: ", err)
  end
  -- the next run is counted from the end of this one
  if not job.once and self.jobs[job.name] == job and not premature then
    at(job.delay, function(early, ...) return run(self, job, early, ...) end, ...)
  end
end

local function begin(self, once, name, delay, callback, ...)
  if not self.enabled then
    return nil, "the timer module is not started"
  end
  assert(type(callback) == "function", "expected `callback` to be a function")
  assert(type(delay) == "number", "expected `delay` to be a number")
  assert(delay >= 0, "expected `delay` to be greater than or equal to 0")
  if not name then
    count = count + 1
    name = "unix_timestamp=" .. math.floor(ngx.now() * 1000) .. ";counter=" .. count
  elseif self.jobs[name] then
    return nil, "already exists timer"
  end
  local job = { name = name, once = once, delay = delay, callback = callback }
  self.jobs[name] = job
  local ok, err = at(delay, function(early, ...) return run(self, job, early, ...) end, ...)
  if not ok then
    self.jobs[name] = nil
    return nil, err
  end
  if once then
    self.pending = self.pending + 1
  end
  return name
end

--- Calls back once, after `delay` seconds: the timer's name, or nil and an error.
function M:at(delay, callback, ...)
  return begin(self, true, nil, delay, callback, ...)
end

--- Calls back again and again.
function M:every(delay, callback, ...)
  return begin(self, false, nil, delay, callback, ...)
end

function M:named_at(name, delay, callback, ...)
  return begin(self, true, name, delay, callback, ...)
end

function M:named_every(name, delay, callback, ...)
  return begin(self, false, name, delay, callback, ...)
end

--- Ends a timer before its time.
function M:cancel(name)
  local job = self.jobs[name]
  if not job then
    return nil, "timer not found"
  end
  self.jobs[name] = nil
  if job.once then
    self.pending = self.pending - 1
  end
  return true
end

function M:is_managed(name)
  return self.jobs[name] ~= nil
end

--- What is waiting and running.
function M:stats()
  local timers, every = {}, 0
  for name, job in pairs(self.jobs) do
    timers[name] = { name = name, is_running = false }
    every = every + (job.once and 0 or 1)
  end
  return {
    sys = {
      running = self.running, pending = self.pending, waiting = every, total = self.pending + every,
      runs = self.runs,
    },
    timers = timers,
  }
end

return M
