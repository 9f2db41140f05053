-- `kong.plugins.base_plugin`: the class that plugins of before Kong 3 extend. Its phases do nothing but log.

local Object = require "kong.vendor.classic"

local BasePlugin = Object:extend()

function BasePlugin:new(name)
  self._name = name
end

for _, phase in ipairs {
  "init_worker", "certificate", "rewrite", "access", "response", "header_filter", "body_filter", "log",
  "preread",
} do
  BasePlugin[phase] = function(self)
    if kong and kong.log and kong.log.debug then
      kong.log.debug("executing plugin \"", self._name, "\": ", phase)
    end
  end
end

return BasePlugin
