-- What mlcache's options may be. Each function answers the first fault as a text, so that the caller raises
-- it where the user called.

local type = type

local M = {}

local function number(opts, name, least)
  local value = opts[name]
  if value == nil then
    return nil
  elseif type(value) ~= "number" then
    return "opts." .. name .. " must be a number"
  elseif least and value < least then
    return "opts." .. name .. " must be >= " .. least
  end
end

local function of_type(opts, name, wanted, article)
  local value = opts[name]
  if value ~= nil and type(value) ~= wanted then
    return "opts." .. name .. " must be " .. article .. " " .. wanted
  end
end

local function ipc(opts)
  local given = opts.ipc
  if given == nil then
    return nil
  elseif opts.ipc_shm then
    return "cannot specify both of opts.ipc_shm and opts.ipc"
  elseif type(given) ~= "table" then
    return "opts.ipc must be a table"
  elseif type(given.register_listeners) ~= "function" then
    return "opts.ipc.register_listeners must be a function"
  elseif type(given.broadcast) ~= "function" then
    return "opts.ipc.broadcast must be a function"
  elseif given.poll ~= nil and type(given.poll) ~= "function" then
    return "opts.ipc.poll must be a function"
  end
end

--- The fault in the options of `mlcache.new`, if any.
function M.fault_of_new(opts)
  if type(opts) ~= "table" then
    return "opts must be a table"
  end
  return number(opts, "lru_size")
    or number(opts, "ttl", 0)
    or number(opts, "neg_ttl", 0)
    or number(opts, "resurrect_ttl", 0)
    or of_type(opts, "resty_lock_opts", "table", "a")
    or of_type(opts, "ipc_shm", "string", "a")
    or ipc(opts)
    or of_type(opts, "l1_serializer", "function", "a")
    or number(opts, "shm_set_tries", 1)
    or of_type(opts, "shm_miss", "string", "a")
    or of_type(opts, "shm_locks", "string", "a")
end

--- What a call goes by: its own options over those of the cache.
-- @return a fault or nil, ttl, neg_ttl, resurrect_ttl, l1_serializer, shm_set_tries
function M.of_call(cache, opts)
  if opts == nil then
    return nil, cache.ttl, cache.neg_ttl, cache.resurrect_ttl, cache.l1_serializer, cache.shm_set_tries
  elseif type(opts) ~= "table" then
    return "opts must be a table"
  end
  local fault = number(opts, "ttl", 0)
    or number(opts, "neg_ttl", 0)
    or number(opts, "resurrect_ttl", 0)
    or of_type(opts, "l1_serializer", "function", "a")
    or number(opts, "shm_set_tries", 1)
  if fault then
    return fault
  end
  return nil, opts.ttl or cache.ttl, opts.neg_ttl or cache.neg_ttl, opts.resurrect_ttl or cache.resurrect_ttl,
    opts.l1_serializer or cache.l1_serializer, opts.shm_set_tries or cache.shm_set_tries
end

return M
