-- `resty.timerng`: timers with names that can be paused, resumed and cancelled, over `ngx.timer`. Each is a timer
-- of the runtime's own; there is no wheel to turn and no pool of threads to size, so such options are only checked.

local assert, type, error, pairs, ipairs, select, unpack = assert, type, error, pairs, ipairs, select, unpack
local xpcall, setmetatable = xpcall, setmetatable
local floor, max, min = math.floor, math.max, math.min
local traceback, getinfo = debug.traceback, debug.getinfo

local M = {}
local mt = { __index = M }

-- taken now: what is called so later may itself go through here
local at, every = ngx.timer.at, ngx.timer.every

-- Delays below are left to `ngx.timer`, in seconds; so are those of the longest wheel and above.
local RESOLUTION, LONGEST = 0.1, 0.1 * 10 * 60 * 60 * 24 - 2

local count = 0

local function whole(options, name, text)
  local value = options[name]
  if value then
    assert(type(value) == "number", "expected `" .. name .. "` to be a number")
    assert(value > 0, "expected `" .. name .. "` to be greater than 0")
    assert(value == floor(value), "expected `" .. name .. "` to be an integer" .. (text or ""))
  end
end

local function check_wheels(setting)
  assert(type(setting) == "table", "expected `wheel_setting` to be a table")
  assert(type(setting.level) == "number", "expected `wheel_setting.level` to be a number")
  local slots = setting.slots_for_each_level
  assert(type(slots) == "table", "expected `wheel_setting.slots_for_each_level` to be a table")
  assert(setting.level == #slots,
    "expected `wheel_setting.level` is equal to the length of `wheel_setting.slots_for_each_level`")
  for i, n in ipairs(slots) do
    local name = "expected `wheel_setting.slots_for_each_level[" .. i .. "]` to be "
    assert(type(n) == "number", name .. "a number")
    assert(n >= 1, name .. "greater than 1")
    assert(n == floor(n), name .. "an integer")
  end
end

local function check(options)
  assert(type(options) == "table", "expected `options` to be a table")
  assert(not options.debug or type(options.debug) == "boolean", "expected `debug` to be a boolean")
  whole(options, "restart_thread_after_runs")
  if options.min_threads or options.max_threads then
    assert(options.min_threads and options.max_threads, "both `min_thread` and `max_threads` must to be set")
    whole(options, "min_threads")
    whole(options, "max_threads")
    assert(options.min_threads < options.max_threads, "expected `max_threads` to be greater than `min_threads`")
  end
  local load = options.auto_scaling_load_threshold
  if load then
    assert(type(load) == "number", "expected `auto_scaling_load_threshold` to be a number")
    assert(load > 0, "expected `auto_scaling_load_threshold` to be greater than 0")
  end
  if options.resolution then
    assert(type(options.resolution) == "number", "expected `resolution` to be a number")
    assert(options.resolution >= 0.1, "expected `resolution` to be greater than or equal to 0.1")
  end
  if options.wheel_setting then
    check_wheels(options.wheel_setting)
  end
end

--- A set of timers.
function M.new(options)
  if options then
    check(options)
  end
  local resolution = options and options.resolution or RESOLUTION
  local longest = LONGEST
  if options and options.wheel_setting then
    longest = resolution
    for _, n in ipairs(options.wheel_setting.slots_for_each_level) do
      longest = longest * n
    end
    longest = longest - 2
  end
  return setmetatable({
    opt = { debug = options and options.debug or false, resolution = resolution },
    max_expire = longest,
    jobs = {},
    enable = false,
    sys_stats = { running = 0, pending = 0, total = 0, runs = 0 },
  }, mt)
end

function M:start()
  self.enable = true
  for _, job in pairs(self.jobs) do
    local left = job.left
    if left then
      job.left = nil
      job.schedule(left)
    end
  end
  return true
end

--- Nothing runs until the next start, nor does anybody's time pass.
function M:freeze()
  if not self.enable then
    return
  end
  self.enable = false
  ngx.update_time()
  for _, job in pairs(self.jobs) do
    if job.when then
      job.left = max(0, job.when - ngx.now())
      job.turn, job.when = job.turn + 1, nil
    end
  end
end

M.unfreeze = M.start

function M:destroy()
  self.enable = false
  self.jobs = {}
end

local function note_time(stats, elapsed)
  local times = stats.elapsed_time
  times.max, times.min = max(times.max, elapsed), min(times.min, elapsed)
  local before = times.avg
  times.avg = before + (elapsed - before) / stats.runs
  times.variance = ((stats.runs - 1) * times.variance + (elapsed - before) * (elapsed - times.avg)) / stats.runs
end

local function call(self, job, premature)
  local sys, stats = self.sys_stats, job.stats
  job.running = true
  sys.running, sys.runs, stats.runs = sys.running + 1, sys.runs + 1, stats.runs + 1
  ngx.update_time()
  local began = ngx.now()
  local ok, err = xpcall(job.callback, traceback, premature, unpack(job.argv, 1, job.argc))
  ngx.update_time()
  note_time(stats, ngx.now() - began)
  job.running = false
  sys.running = sys.running - 1
  if ok then
    stats.finish = stats.finish + 1
  else
    stats.last_err_msg = err
    ngx.log(ngx.ERR, "[timer-ng] failed to run timer ", job.name, ": ", err)
  end
end

-- The time has come.
local function expire(self, job, turn, premature)
  if self.jobs[job.name] ~= job or job.turn ~= turn then
    return -- cancelled, or resumed anew
  elseif job.paused then
    return
  end
  job.when = nil
  if job.once then
    self.jobs[job.name] = nil
  end
  call(self, job, premature)
  if job.once then
    self.sys_stats.total = self.sys_stats.total - 1
  elseif not premature and self.jobs[job.name] == job and not job.paused then
    job.schedule(job.delay) -- counted from the end of this run
  end
end

local function create(self, job)
  local jobs = self.jobs
  if not job.name then
    count = count + 1
    job.name = ("unix_timestamp=%f;counter=%d:meta=%s"):format(floor(ngx.now() * 1000), count, job.meta.name)
  end
  if jobs[job.name] then
    return false, "already exists timer"
  end
  job.turn = 0
  function job.schedule(delay)
    job.turn = job.turn + 1
    if not self.enable then
      job.left = delay
      return true
    end
    local turn = job.turn
    job.when = ngx.now() + delay
    return at(delay, function(premature)
      return expire(self, job, turn, premature)
    end)
  end
  jobs[job.name] = job
  local ok, err = job.schedule(job.delay)
  if not ok then
    jobs[job.name] = nil
    return false, err
  end
  self.sys_stats.total = self.sys_stats.total + 1
  return job.name
end

-- Where a timer was made, with debug on.
local function meta_of(self)
  if not self.opt.debug then
    return { name = "debug off", callstack = "debug off" }
  end
  -- this, new_job, and, as they call each other last, who made it
  local stack, level = {}, 3
  local info = getinfo(level, "nSl")
  while info and info.short_src ~= "[C]" and #stack < 128 do
    stack[#stack + 1] = ("%s:%d:%s()"):format(info.source, info.currentline, info.name or info.what)
    level = level + 1
    info = getinfo(level, "nSl")
  end
  local outermost_first = {}
  for i = #stack, 1, -1 do
    outermost_first[#outermost_first + 1] = stack[i]
  end
  return { name = stack[1] or "?", callstack = table.concat(outermost_first, ";") }
end

local function new_job(self, once, name, delay, callback, ...)
  return create(self, {
    name = name, once = once, delay = delay, callback = callback, argc = select("#", ...), argv = { ... },
    meta = meta_of(self),
    stats = {
      runs = 0, finish = 0, last_err_msg = "",
      elapsed_time = { avg = 0, max = -1, min = 9999999, variance = 0 },
    },
  })
end

--- Calls back once, after `delay` seconds: the timer's name, or false and an error.
function M:named_at(name, delay, callback, ...)
  assert(self.enable, "the timer module is not started")
  assert(type(callback) == "function", "expected `callback` to be a function")
  assert(type(delay) == "number", "expected `delay to be a number")
  assert(delay >= 0, "expected `delay` to be greater than or equal to 0")
  if delay >= self.max_expire or (delay ~= 0 and delay < self.opt.resolution) then
    return at(delay, callback, ...)
  end
  return new_job(self, true, name, delay, callback, ...)
end

--- Calls back again and again, `interval` seconds after the end of a run.
function M:named_every(name, interval, callback, ...)
  assert(self.enable, "the timer module is not started")
  assert(type(callback) == "function", "expected `callback` to be a function")
  assert(type(interval) == "number", "expected `interval to be a number")
  assert(interval > 0, "expected `interval` to be greater than or equal to 0")
  if interval >= self.max_expire or interval < self.opt.resolution then
    return every(interval, callback, ...)
  end
  return new_job(self, false, name, interval, callback, ...)
end

function M:at(delay, callback, ...)
  return self:named_at(nil, delay, callback, ...)
end

function M:every(interval, callback, ...)
  return self:named_every(nil, interval, callback, ...)
end

local function job_of(self, name)
  assert(type(name) == "string", "expected `name` to be a string")
  local job = self.jobs[name]
  if not job then
    return nil, "timer not found"
  end
  return job
end

--- Begins anew, with all of its delay before it.
function M:resume(name)
  local job, err = job_of(self, name)
  if not job then
    return false, err
  end
  if not job.paused and not job.running then
    -- as there: who runs freely is forgotten
    self.jobs[name] = nil
    return false, "running"
  end
  job.paused, job.left = nil, nil
  local ok, failed = job.schedule(job.delay)
  return ok and true or false, failed
end

--- It does not run until it is resumed.
function M:pause(name)
  local job, err = job_of(self, name)
  if not job then
    return false, err
  end
  job.paused, job.when, job.left = true, nil, nil
  return true
end

--- Ends a timer before its time.
function M:cancel(name)
  local job, err = job_of(self, name)
  if not job then
    return false, err
  end
  self.jobs[name] = nil
  self.sys_stats.total = self.sys_stats.total - 1
  return true
end

function M:is_managed(name)
  return self.jobs[name] ~= nil
end

local function copy(t)
  local out = {}
  for key, value in pairs(t) do
    out[key] = type(value) == "table" and copy(value) or value
  end
  return out
end

--- How many there are: `sys`; with `verbose`, each of them in `timers`; with `flamegraph`, too, where they were made.
function M:stats(options)
  options = options or {}
  local known = self.sys_stats
  local sys = {
    running = known.running, pending = known.pending, total = known.total, runs = known.runs,
    waiting = known.total - known.running - known.pending,
  }
  if not options.verbose then
    return { sys = sys }
  end
  local timers = {}
  for name, job in pairs(self.jobs) do
    timers[name] = {
      name = name, is_running = job.running or false, meta = copy(job.meta), stats = copy(job.stats),
    }
  end
  if not options.flamegraph then
    return { sys = sys, timers = timers }
  end
  local lines = { running = {}, pending = {}, elapsed_time = {} }
  for _, job in pairs(self.jobs) do
    local stack, stats = job.meta.callstack .. " ", job.stats
    table.insert(lines.running, stack .. (job.running and 1 or 0) .. "\n")
    table.insert(lines.pending, stack .. "0\n")
    table.insert(lines.elapsed_time, stack .. floor(stats.runs * stats.elapsed_time.avg * 1000) .. "\n")
  end
  return {
    sys = sys, timers = timers,
    flamegraph = {
      running = table.concat(lines.running), pending = table.concat(lines.pending),
      elapsed_time = table.concat(lines.elapsed_time),
    },
  }
end

function M:set_debug(status)
  self.opt.debug = status
end

for _, name in ipairs { "_debug_alive_worker_thread_count", "_debug_expected_alive_worker_thread_count" } do
  M[name] = function()
    error("not supported: resty.timerng." .. name, 2)
  end
end

return M
