-- kong.plugin

local op = require("moongate.ops")["kong.plugin"]
local scope = require "moongate.scope"

local plugin = {}

function plugin.get_id()
  return scope.field("plugin_id") or (op.get_id())
end

return {
  new = function()
    return plugin
  end,
}
