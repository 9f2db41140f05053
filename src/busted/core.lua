-- The heart of a run: registering elements, calling their functions safely, and
-- publishing what happens.

local events = require("busted.events")
local failure = require("luassert.failure")
local host = require("busted.host")
local new_context = require("busted.context")
local new_environment = require("busted.environment")
local pretty = require("busted.pretty")
local status = require("busted.status")
local trace = require("busted.trace")

local pending_mt = {
  __index = {},
  __type = "pending",
  __tostring = function(self) return tostring(self.message) end,
}

local function kind_of(raised)
  if failure.is(raised) then return "failure" end
  if debug.getmetatable(raised) == pending_mt then return "pending" end
  return "error"
end

local function has_text(value)
  return type(value) == "string" or (debug.getmetatable(value) or {}).__tostring ~= nil
end

local function is_callable(value)
  return type(value) == "function" or (debug.getmetatable(value) or {}).__call ~= nil
end

-- A callable's function: __call comes first, for spies and the like.
local function function_of(callable)
  return (debug.getmetatable(callable) or {}).__call or callable
end

local function add_failing(core)
  function core.getTrace(element, message)
    return trace.here(message, element and element.trace)
  end

  -- The message as text, led by "file:line: "; nil for `pending()` without a reason.
  function core.rewriteMessage(element, message, at)
    local text
    if kind_of(message) == "pending" and message.message == nil then
      return nil
    elseif message == nil then
      text = "Nil error"
    elseif has_text(message) then
      text = tostring(message)
    else
      text = pretty.write(failure.is(message) and message.message or message)
    end
    if not text:match("^[^\n]-:%d+: ") then
      at = at or core.getTrace(element, message)
      text = at.short_src .. ":" .. at.currentline .. ": " .. text
    end
    return text
  end

  function core.fail(message, level)
    level = level or 1
    failure.raise(message, level > 0 and level + 1 or level)
  end

  function core.pending(message)
    error(setmetatable({ message = message }, pending_mt))
  end
end

local function add_environment(core, environment)
  -- Gives `callable` an environment in which `name` is `value`.
  function core.bindfenv(callable, name, value)
    local fn = function_of(callable)
    setfenv(fn, setmetatable({ [name] = value }, { __index = getfenv(fn) }))
  end

  function core.wrap(callable)
    if is_callable(callable) then
      environment.wrap(function_of(callable))
    end
  end

  function core.exportApi(key, value)
    core.api[key] = value
  end

  function core.export(key, value)
    core.exportApi(key, value)
    environment.set(key, value)
  end

  function core.hide(key)
    core.api[key] = nil
    environment.set(key, nil)
  end
end

local function add_calling(core)
  -- Calls `run` as part of `element`. What it raises is published as { kind, descriptor }.
  -- Returns the status, then what `run` returned.
  function core.safe(descriptor, run, element)
    core.context.push(element)
    local kind, at, message
    local results = table.pack(xpcall(run, function(raised)
      kind = kind_of(raised)
      at = core.getTrace(element, raised)
      message = core.rewriteMessage(element, raised, at)
    end))

    if not results[1] then
      if not at then
        -- The handler itself could not run: out of stack or memory.
        kind = "error"
        at = core.getTrace(element, results[2])
        message = core.rewriteMessage(element, results[2], at)
      elseif kind == "failure" and descriptor ~= "it" then
        -- Only a test can fail; elsewhere a failed assertion is an error.
        kind = "error"
      end
      core.publish({ kind, element.descriptor }, element, core.context.parent(element), message, at)
    end
    results[1] = status(kind or "success")
    core.context.pop()
    return unpack(results, 1, results.n)
  end

  -- Publishes the start or end of an element; false when a subscriber raised.
  function core.safe_publish(descriptor, channel, element, ...)
    local values = table.pack(...)
    if channel[2] == "start" then
      element.starttick = core.monotime()
      element.starttime = core.gettime()
    elseif channel[2] == "end" then
      element.endtime = core.gettime()
      element.endtick = core.monotime()
      element.duration = element.starttick and element.endtick - element.starttick
    end
    return core.safe(descriptor, function()
      core.publish(channel, element, unpack(values, 1, values.n))
    end, element):success()
  end

  function core.execute(element)
    for _, child in ipairs(core.context.children(element or core.context.get())) do
      local executor = core.bodies[child.descriptor]
      if executor and not core.skipAll then
        core.safe(child.descriptor, function() executor(child) end, child)
      end
    end
  end
end

local function add_element(core, descriptor, name, fn, at, attributes)
  local element = { descriptor = descriptor, attributes = attributes or {}, name = name, run = fn, trace = at }
  local current = core.context.get()
  core.context.attach(element)
  current[descriptor] = current[descriptor] or {}
  table.insert(current[descriptor], element)
end

local function add_registering(core)
  local attributes_of = {}

  -- register(name, body [, attributes]) makes a new kind of element, with body nil for
  -- support functions; register(alias, name [, attributes]) another word for one.
  function core.register(word, body, attributes)
    local alias, descriptor = nil, word
    if type(body) == "string" then
      alias, descriptor = word, body
      body = core.bodies[descriptor]
      attributes = attributes or attributes_of[descriptor]
    elseif body ~= nil and not is_callable(body) then
      attributes, body = body, nil
    end
    core.bodies[word] = body
    attributes_of[word] = attributes

    local function publisher(name, fn)
      if not fn then
        if type(name) == "function" then
          fn, name = name, alias
        else
          fn = attributes and attributes.default_fn
        end
      end
      local current = core.context.get()
      local at = core.context.parent(current) and core.getTrace(current, name) or nil
      local function publish(given)
        core.publish({ "register", descriptor }, name, given, at, attributes)
      end
      if not fn then return publish end
      publish(fn)
    end

    core.executors[word] = publisher
    core.export(word, publisher)
    core.subscribe({ "register", descriptor }, function(name, fn, at, given)
      add_element(core, descriptor, name, fn, at, given)
    end)
  end
end

return function()
  local context = new_context()
  local bus = events.new()
  local core = {
    version = "2.3.0",
    context = context,
    status = status,
    api = {},
    executors = {},
    bodies = {},
    publish = bus.publish,
    subscribe = bus.subscribe,
    unsubscribe = bus.unsubscribe,
    gettime = function() return host.current().now() end,
    monotime = function() return host.current().monotonic() end,
    sleep = function(seconds)
      -- In the gateway only this lets timers and sockets go on.
      local ngx = rawget(_G, "ngx")
      local sleep = ngx and ngx.sleep or host.need("sleep")
      return sleep(seconds)
    end,
  }
  add_failing(core)
  add_environment(core, new_environment(context))
  add_calling(core)
  add_registering(core)
  return core
end
