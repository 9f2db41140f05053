-- The default on a terminal: coloured marks. -Xoutput --color or --plain.

local palette = require("busted.palette")
local terminal = require("busted.outputHandlers.terminal")

return function(options)
  local colors = palette(options.arguments)
  return terminal(options, {
    colors = colors,
    arrow = " → ",
    marks = {
      success = colors.green("●"),
      failure = colors.red("◼"),
      error = colors.magenta("✱"),
      pending = colors.yellow("◌"),
    },
  })
end
