-- The Test Anything Protocol.

local base = require("busted.outputHandlers.base")
local busted = require("busted")

local function comment(text)
  return "# " .. text:gsub("\n", "\n# ") .. "\n"
end

return function(options)
  local handler = base()
  local write = handler.write
  local count = 0

  local function show_failure(result)
    write(("not ok %u - %s\n"):format(count, result.name))
    local trace = result.element.trace
    if trace and trace.short_src then
      write("# " .. trace.short_src .. " @ " .. trace.currentline .. "\n")
    end
    if result.randomseed then
      write("# Random seed: " .. result.randomseed .. "\n")
    end
    write(comment("Failure message: " .. handler.messageText({ message = result.message })))
    local traceback = options.verbose and result.trace and result.trace.traceback
    if traceback then
      write(comment((traceback:gsub("^\n", "", 1))))
    end
  end

  function handler.suiteReset()
    count = 0
    return nil, true
  end

  function handler.suiteEnd()
    write("1.." .. count .. "\n")
    return nil, true
  end

  function handler.testStart(element)
    local trace = element.trace
    if options.verbose and trace and trace.short_src then
      write("# " .. trace.short_src .. " @ " .. trace.currentline .. ": " .. handler.getFullName(element) .. "\n")
    end
    return nil, true
  end

  function handler.testEnd(_, _, status)
    count = count + 1
    if status == "success" then
      write(("ok %u - %s\n"):format(count, handler.successes[#handler.successes].name))
    elseif status == "pending" then
      local result = handler.pendings[#handler.pendings]
      local reason = result.message and tostring(result.message):gsub("\n", " ") or result.name
      write(("ok %u - # SKIP %s\n"):format(count, reason))
    else
      local results = status == "failure" and handler.failures or handler.errors
      show_failure(results[#results])
    end
    return nil, true
  end

  function handler.error(element)
    if element.descriptor ~= "it" then
      count = count + 1
      show_failure(handler.errors[#handler.errors])
    end
    return nil, true
  end

  busted.subscribe({ "suite", "reset" }, handler.suiteReset)
  busted.subscribe({ "suite", "end" }, handler.suiteEnd)
  busted.subscribe({ "test", "start" }, handler.testStart, { predicate = handler.cancelOnPending })
  busted.subscribe({ "test", "end" }, handler.testEnd, { predicate = handler.cancelOnPending })
  busted.subscribe({ "error" }, handler.error)
  return handler
end
