-- What specs and output handlers ask of the terminal.

return {
  colors = require("term.colors"),
  isatty = function()
    local host = require("busted.host").current()
    return host.isatty ~= nil and host.isatty() or false
  end,
}
