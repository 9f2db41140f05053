-- `db:cluster_mutex`: the lock of this node's workers first, then the one the connector keeps.

local type = type

local LOCK_TTL = 60 -- seconds
local LONGEST_STEP = 2 -- seconds

local M = {}

local OPTIONS = { ttl = "number", owner = "string", no_wait = "boolean", no_cleanup = "boolean" }

--- Raises, in the name of the caller's caller, when an argument is of a wrong type.
function M.check(key, opts, cb)
  if type(key) ~= "string" then
    error("key must be a string", 3)
  end
  if opts ~= nil and type(opts) ~= "table" then
    error("opts must be a table", 3)
  end
  for name, kind in pairs(OPTIONS) do
    if opts and opts[name] and type(opts[name]) ~= kind then
      error(("opts.%s must be a %s"):format(name, kind), 3)
    end
  end
  local mt = type(cb) ~= "function" and getmetatable(cb)
  if type(cb) ~= "function" and not (mt and type(mt.__call) == "function") then
    error("cb must be a function", 3)
  end
end

-- Waits until the lock is gone: false, or nil and an error.
local function wait(connector, key, ttl)
  local step, waited = 0.1, 0
  while true do
    ngx.sleep(step)
    waited = waited + step
    if waited >= ttl then
      return nil, "timeout"
    end
    local locked, err = connector:read_lock(key)
    if err then
      return nil, "failed to read cluster lock: " .. err
    elseif not locked then
      return false
    end
    step = math.min(step * 3, LONGEST_STEP)
  end
end

local function locked_run(connector, key, ttl, owner, opts, cb)
  local ok, err = connector:insert_lock(key, ttl, owner)
  if err then
    return nil, "failed to insert cluster lock: " .. err
  elseif not ok then
    if opts.no_wait then
      return false
    end
    return wait(connector, key, ttl)
  end

  local ran
  ran, err = xpcall(cb, debug.traceback)
  if not ran then
    connector:remove_lock(key, owner)
    return nil, "cluster_mutex callback threw an error: " .. tostring(err)
  end
  if not opts.no_cleanup then
    connector:remove_lock(key, owner)
  end
  return true
end

--- Runs `cb` under the lock: true; false when another worker or node ran meanwhile; nil, error.
function M.run(connector, key, opts, cb)
  local owner, err = opts.owner, nil
  if not owner then
    owner, err = kong.node.get_id()
    if not owner then
      return nil, "failed to generate lock owner: " .. err
    end
  end
  local ttl = opts.ttl or LOCK_TTL
  return require("kong.concurrency").with_worker_mutex({ name = key, timeout = ttl }, function(waited)
    if waited ~= 0 then
      return false -- another worker had it, and is done
    end
    return locked_run(connector, key, ttl, owner, opts, cb)
  end)
end

return M
