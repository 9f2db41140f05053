-- What all output handlers share: collecting results. A handler starts from
-- `require "busted.outputHandlers.base"()` and subscribes to what it prints.

local busted = require("busted")
local hosts = require("busted.host")
local pretty = require("busted.pretty")

local KINDS = { "successes", "pendings", "failures", "errors" }

local function clear(handler)
  for _, kind in ipairs(KINDS) do
    handler[kind] = {}
    handler[kind .. "Count"] = 0
  end
  handler.inProgress = {}
end

local function copy_element(element)
  local copy = {}
  for key, value in next, element do
    if type(value) ~= "function" and key ~= "env" then
      copy[key] = value
    end
  end
  return copy
end

local function add_formatting(handler)
  function handler.getFullName(element)
    local names = { element.name or element.descriptor }
    local parent = busted.parent(element)
    while parent and (parent.name or parent.descriptor) and parent.descriptor ~= "file" do
      table.insert(names, 1, parent.name or parent.descriptor)
      parent = busted.parent(parent)
    end
    return table.concat(names, " ")
  end

  function handler.format(element, parent, message, trace, is_error)
    local formatted = {
      trace = trace or element.trace,
      element = copy_element(element),
      name = handler.getFullName(element),
      message = message,
      randomseed = parent and parent.randomseed,
      isError = is_error,
    }
    formatted.element.trace = element.trace or trace
    return formatted
  end

  -- A result's message as text, led by the seed of a shuffled block.
  function handler.messageText(result)
    local message = result.message
    if message == nil then
      message = "Nil error"
    elseif type(message) ~= "string" then
      message = pretty.write(message)
    end
    if result.randomseed then
      message = "Random seed: " .. result.randomseed .. "\n" .. message
    end
    return message
  end

  function handler.getDuration()
    if not handler.startTick or not handler.endTick then return 0 end
    return handler.endTick - handler.startTick
  end
end

local function add_collecting(handler)
  -- A predicate: false for pending tests that are not to be shown.
  function handler.cancelOnPending(element, _, status)
    return not ((element.descriptor == "pending" or status == "pending") and handler.options.suppressPending)
  end

  function handler.baseSuiteReset()
    clear(handler)
    return nil, true
  end

  function handler.baseSuiteStart(suite)
    handler.startTick, handler.startTime = suite.starttick, suite.starttime
    return nil, true
  end

  function handler.baseSuiteEnd(suite)
    handler.endTick, handler.endTime = suite.endtick, suite.endtime
    return nil, true
  end

  function handler.baseTestStart(element)
    handler.inProgress[element] = {}
    return nil, true
  end

  function handler.baseTestEnd(element, parent, status, trace)
    if status == "failure" then
      handler.failuresCount = handler.failuresCount + 1
    elseif status == "success" or status == "pending" then
      local kind = status == "success" and "successes" or "pendings"
      handler[kind .. "Count"] = handler[kind .. "Count"] + 1
      local formatted = handler.format(element, parent, element.message, trace)
      for key, value in pairs(handler.inProgress[element] or {}) do
        formatted[key] = value
      end
      table.insert(handler[kind], formatted)
    end
    handler.inProgress[element] = nil
    return nil, true
  end

  function handler.basePending(element, _, message, trace)
    handler.inProgress[element] = { message = message, trace = trace }
    return nil, true
  end

  function handler.baseTestFailure(element, parent, message, trace)
    table.insert(handler.failures, handler.format(element, parent, message, trace))
    return nil, true
  end

  function handler.baseTestError(element, parent, message, trace)
    handler.errorsCount = handler.errorsCount + 1
    table.insert(handler.errors, handler.format(element, parent, message, trace, true))
    return nil, true
  end

  function handler.baseError(element, parent, message, trace)
    if element.descriptor ~= "it" then
      return handler.baseTestError(element, parent, message, trace)
    end
    return nil, true
  end
end

return function()
  local handler = {}
  clear(handler)
  add_formatting(handler)
  add_collecting(handler)
  handler.write = hosts.current().write

  function handler.subscribe(self, options)
    self.options = options
    local shown = { priority = 1, predicate = self.cancelOnPending }
    busted.subscribe({ "suite", "reset" }, self.baseSuiteReset, { priority = 1 })
    busted.subscribe({ "suite", "start" }, self.baseSuiteStart, { priority = 1 })
    busted.subscribe({ "suite", "end" }, self.baseSuiteEnd, { priority = 1 })
    busted.subscribe({ "test", "start" }, self.baseTestStart, shown)
    busted.subscribe({ "test", "end" }, self.baseTestEnd, shown)
    busted.subscribe({ "pending" }, self.basePending, shown)
    busted.subscribe({ "failure", "it" }, self.baseTestFailure, { priority = 1 })
    busted.subscribe({ "error", "it" }, self.baseTestError, { priority = 1 })
    busted.subscribe({ "failure" }, self.baseError, { priority = 1 })
    busted.subscribe({ "error" }, self.baseError, { priority = 1 })
    return self
  end

  return handler
end
