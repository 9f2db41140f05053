-- kong.pdk: puts the `kong` table together.

local running = require "moongate.running"
local named = require "moongate.named"

local MODULES = {
  "table", "node", "log", "ctx", "ip", "dns", "client", "service", "request", "service.request", "service.response",
  "response", "router", "nginx", "cluster", "vault", "tracing", "plugin", "telemetry",
}

local pdk = {}

-- In a plugin, kong.log marks its lines with the plugin's name.
local function log_of(core)
  local logs = {}
  return function()
    local given = named.log_used and named.log()
    if given then
      return given
    end
    local at = running[3]
    if not at then
      return core
    end
    local log = logs[at]
    if not log then
      local plugins = package.loaded["moongate.plugins"]
      local plugin = plugins and plugins[at]
      if not plugin then
        return core
      end
      log = core.new(plugin.name)
      logs[at] = log
    end
    return log
  end
end

function pdk.new(config, self)
  if config ~= nil and type(config) ~= "table" then
    error("kong_config must be a table", 2)
  end
  local own = self == nil -- a `kong` of somebody's own: its log knows no plugin
  self = self or {}
  self.configuration = require("kong.pdk.configuration").new(config)
  for _, name in ipairs(MODULES) do
    local parent, child = name:match("^(.-)%.?([^.]+)$")
    local into = parent == "" and self or self[parent]
    into[child] = require("kong.pdk." .. name).new(self)
  end
  self._log = self.log
  if not own then
    self.log = nil
  end
  local current = log_of(self._log)
  return setmetatable(self, {
    __index = function(t, key)
      if key == "log" then
        return current()
      elseif key == "timer" then
        -- no part of the PDK, but plugins and queues time by it
        local timers = require("resty.timerng").new()
        timers:start()
        rawset(t, "timer", timers)
        return timers
      end
    end,
  })
end

return pdk
