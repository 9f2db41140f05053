-- `kong.dynamic_hook`: functions that are run beside others, in groups which are on for all or for one request.

local type, pcall, ipairs, assert, select, unpack = type, pcall, ipairs, assert, select, unpack
local running = require("moongate.running")

local M = {}

-- hooks[group][name] = function
local hooks = {}
-- groups that are on for everybody
local always = {}

-- The group that each line of the log is shown to.
local LOGS = "observability_logs"

local function report(what, err)
  ngx.log(ngx.WARN, "failed to run ", what, ": ", err)
end

local function on_here(group)
  local known = ngx.ctx.dynamic_hook
  return known ~= nil and known.enabled_groups[group] or false
end

--- Whether the hooks of a group run now.
function M.is_group_enabled(group)
  assert(type(group) == "string", "group_name must be a string")
  if always[group] then
    return true
  end
  return running[1] ~= 0 and on_here(group) and true or false
end

-- Whether a hooked function is to run alone.
local function passes(group)
  if always[group] then
    return false
  end
  local phase = ngx.get_phase()
  return phase == "init" or phase == "init_worker" or not on_here(group)
end

local function run_all(list, kind, group, ...)
  for _, hook in ipairs(list or {}) do
    local ok, err = pcall(hook, ...)
    if not ok then
      report(kind .. " hook of " .. group, err)
    end
  end
end

local function after(handlers, group, ...)
  run_all(handlers.afters, "after", group, ...)
  return ...
end

-- The first eight of at most `n` arguments.
local function first(n, ...)
  if select("#", ...) <= n then
    return ...
  end
  return unpack({ ... }, 1, n)
end

--- Puts a function in the place of `parent[key]` that runs `handlers.befores` and `handlers.afters` beside it.
function M.hook_function(group, parent, key, max_args, handlers)
  assert(type(group) == "string", "group_name must be a string")
  assert(type(parent) == "table", "parent must be a table")
  assert(type(key) == "string", "function_key must be a string")
  local limit
  if max_args ~= "varargs" then
    assert(type(max_args) == "number", 'max_args must be a number or "varargs"')
    assert(max_args >= 0 and max_args <= 8, 'max_args must be >= 0 and <= 8, or "varargs"')
    limit = max_args
  end
  local original = parent[key]
  assert(type(original) == "function", "parent[" .. key .. "] must be a function")

  parent[key] = function(...)
    if passes(group) then
      if limit then
        return original(first(limit, ...))
      end
      return original(...)
    end
    run_all(handlers.befores, "before", group, ...)
    if limit then
      return after(handlers, group, original(first(limit, ...)))
    end
    return after(handlers, group, original(...))
  end
end

--- Registers what `run_hook` with the same group and name runs.
function M.hook(group, name, handler)
  assert(type(group) == "string", "group_name must be a string")
  assert(type(name) == "string", "hook_name must be a string")
  assert(type(handler) == "function", "handler must be a function")
  local of = hooks[group] or {}
  hooks[group] = of
  of[name] = handler
  if group == LOGS then
    local log = package.loaded["moongate.ngx.log"]
    if log then
      log.observer = M.run_hook
    end
  end
end

--- Runs a hook, if its group is on.
function M.run_hook(group, name, ...)
  assert(type(group) == "string", "group_name must be a string")
  assert(type(name) == "string", "hook_name must be a string")
  if not M.is_group_enabled(group) then
    return
  end
  local handler = hooks[group] and hooks[group][name]
  if not handler then
    return
  end
  local ok, err = pcall(handler, ...)
  if not ok then
    report("dynamic hook " .. group .. "." .. name, err)
  end
end

--- Turns a group on for this request.
function M.enable_on_this_request(group, ctx)
  assert(type(group) == "string", "group_name must be a string")
  ctx = ctx or ngx.ctx
  local known = ctx.dynamic_hook
  if not known then
    known = { enabled_groups = {} }
    ctx.dynamic_hook = known
  end
  known.enabled_groups[group] = true
end

--- Turns a group on for all.
function M.enable_by_default(group)
  assert(type(group) == "string", "group_name must be a string")
  always[group] = true
end

--- Takes that back.
function M.disable_by_default(group)
  assert(type(group) == "string", "group_name must be a string")
  always[group] = nil
end

return M
