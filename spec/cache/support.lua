-- What the cache specs share: caches of fresh names, functions that count, crowds of coroutines.

local mlcache = require("kong.resty.mlcache")

local M = {}

--- A name that no other spec uses, in whatever file.
function M.name()
  return "spec" .. ngx.shared.kong:incr("spec names", 1, 0) .. ":"
end

--- An mlcache over Kong's dictionaries; with `name`, another worker's of that name: with its own first tier,
-- told everything.
function M.cache(opts, name)
  local all = { ipc_shm = "kong_db_cache", shm_miss = "kong_db_cache_miss", shm_locks = "kong_locks" }
  all.debug = true
  for k, v in pairs(opts or {}) do
    all[k] = v
  end
  if name then
    all.lru = require("resty.lrucache").new(100)
  end
  return assert(mlcache.new(name or M.name(), all.shm or "kong_db_cache", all))
end

--- A function that returns what it was made with, and a table whose `n` counts its calls.
function M.counted(...)
  local calls, results, n = { n = 0 }, { ... }, select("#", ...)
  return function()
    calls.n = calls.n + 1
    return unpack(results, 1, n)
  end, calls
end

--- Runs `f(i)` in `count` timers at once and waits for all.
function M.crowd(count, f)
  local done, failed = 0, nil
  for i = 1, count do
    assert(ngx.timer.at(0, function()
      local ok, err = pcall(f, i)
      failed = failed or not ok and err or nil
      done = done + 1
    end))
  end
  for _ = 1, 1000 do
    if done == count then
      break
    end
    ngx.sleep(0.01)
  end
  assert(done == count, "some of the crowd are still waiting")
  assert(not failed, failed)
end

return M
