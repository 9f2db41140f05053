-- All results of a run as one JSON object.

local base = require("busted.outputHandlers.base")
local busted = require("busted")
local json_text = require("busted.json_text")

return function()
  local handler = base()

  function handler.suiteEnd()
    handler.write(json_text({
      successes = handler.successes,
      pendings = handler.pendings,
      failures = handler.failures,
      errors = handler.errors,
      duration = handler.getDuration(),
    }) .. "\n")
    return nil, true
  end

  busted.subscribe({ "suite", "end" }, handler.suiteEnd)
  return handler
end
