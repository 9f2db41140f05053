-- The default where the output is not a terminal.

local palette = require("busted.palette")
local terminal = require("busted.outputHandlers.terminal")

return function(options)
  return terminal(options, {
    colors = palette({ "--plain" }),
    arrow = " -> ",
    marks = { success = "+", failure = "-", error = "*", pending = "." },
  })
end
