-- Colours for an output handler: ANSI, or none.

local ansi = require("term.colors")
local hosts = require("busted.host")
local luassert = require("luassert")

local PLAIN = setmetatable({}, {
  __index = function()
    return function(text) return tostring(text) end
  end,
})

-- `arguments` are the handler's -Xoutput options: --color and --plain decide,
-- otherwise the terminal does.
return function(arguments)
  local colored = hosts.current().isatty()
  for _, argument in ipairs(arguments or {}) do
    if argument == "--color" then
      colored = true
    elseif argument == "--plain" then
      colored = false
    else
      error("unknown option for the output handler: " .. argument, 0)
    end
  end
  luassert:set_parameter("TableErrorHighlightColor", colored and "red" or "none")
  return colored and ansi or PLAIN
end
