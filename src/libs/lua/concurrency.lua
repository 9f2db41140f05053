-- `kong.concurrency`: one at a time, among all workers or among the handlers of this one.

local lock = require "resty.lock"
local semaphore = require "ngx.semaphore"
local in_yieldable_phase = require("kong.tools.yield").in_yieldable_phase

local M = {}

local by_name = {}

local function check(opts, durations)
  if type(opts) ~= "table" then
    error("opts must be a table", 3)
  elseif type(opts.name) ~= "string" then
    error("opts.name is required and must be a string", 3)
  end
  for _, name in ipairs(durations) do
    if opts[name] and type(opts[name]) ~= "number" then
      error("opts." .. name .. " must be a number", 3)
    end
  end
end

--- Runs `fn(seconds waited)` while no other worker runs under `opts.name`.
function M.with_worker_mutex(opts, fn)
  check(opts, { "timeout", "exptime" })
  local timeout = opts.timeout or 60
  local mutex, err = lock:new("kong_locks", { exptime = opts.exptime or timeout, timeout = timeout })
  if not mutex then
    return nil, "failed to create worker lock: " .. err
  end
  local waited
  waited, err = mutex:lock(opts.name)
  if not waited then
    if err == "timeout" then
      return nil, err, mutex.dict and mutex.dict:ttl(opts.name)
    end
    return nil, "failed to acquire worker lock: " .. err
  end
  local ran, ok, problem = pcall(fn, waited)
  mutex:unlock(opts.name)
  if not ran then
    return nil, ok
  end
  return ok, problem
end

--- Runs `fn()` while no other handler of this worker runs under `opts.name`; `opts.on_timeout` may be
--- "run_unlocked" or "return_true".
function M.with_coroutine_mutex(opts, fn)
  check(opts, { "timeout" })
  local late = opts.on_timeout
  if late and late ~= "run_unlocked" and late ~= "return_true" then
    error("invalid value for opts.on_timeout", 2)
  end
  if not in_yieldable_phase() then
    return fn()
  end
  local name = opts.name
  local mutex, err = by_name[name], nil
  if not mutex then
    mutex, err = semaphore.new()
    if err then
      return nil, "failed to create " .. name .. " lock: " .. err
    end
    by_name[name] = mutex
    mutex:post(1)
  end
  local locked
  locked, err = mutex:wait(opts.timeout or 60)
  if not locked then
    if err ~= "timeout" then
      return nil, "error attempting to acquire " .. name .. " lock: " .. err
    elseif late == "return_true" then
      return true
    elseif late ~= "run_unlocked" then
      return nil, "timeout acquiring " .. name .. " lock"
    end
    kong.log.warn("bypassing ", name, " lock: timeout")
  end
  local ran, ok, problem = pcall(fn)
  if locked then
    mutex:post(1)
  end
  if not ran then
    return nil, ok
  end
  return ok, problem
end

return M
