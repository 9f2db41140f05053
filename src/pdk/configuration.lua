-- kong.configuration: a read-only view of the settings.

local ops = require("moongate.ops")["kong.configuration"]

local configuration = {}

-- `given` replaces the gateway's settings (`require("kong.pdk").new(config)`).
function configuration.new(given)
  local values = given
  return setmetatable({
    remove_sensitive = function()
      if not given then
        return ops.without_secrets()
      end
      return require("kong.conf_loader").remove_sensitive(given)
    end,
  }, {
    __index = function(_, key)
      values = values or ops.all()
      return values[key]
    end,
    __newindex = function()
      error("cannot write to configuration", 2)
    end,
  })
end

return configuration
