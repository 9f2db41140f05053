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

-- Faces that are functions and nothing else.
local PLAIN = {
  table = true, node = true, ip = true, service = true, request = true, ["service.request"] = true,
  ["service.response"] = true, response = true, router = true, nginx = true, cluster = true, plugin = true,
}
local made

local function copy(face)
  local own = {}
  for key, value in pairs(face) do
    own[key] = value
  end
  return setmetatable(own, getmetatable(face))
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
    local face = require("kong.pdk." .. name).new(self, config)
    -- what somebody puts into a face of his own is nobody else's
    into[child] = made and PLAIN[name] and copy(face) or face
  end
  made = true
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
