-- kong.telemetry: recorded only where an exporter is on, which the gateway does not have yet.

local telemetry = {}

function telemetry.log(plugin_name, plugin_config, message_type, message, attributes)
  if type(plugin_name) ~= "string" then
    return nil, "plugin_name must be a string"
  elseif type(plugin_config) ~= "table" then
    return nil, "plugin_config must be a table"
  elseif type(message_type) ~= "string" then
    return nil, "message_type must be a string"
  elseif message and type(message) ~= "string" then
    return nil, "message must be a string"
  elseif attributes and type(attributes) ~= "table" then
    return nil, "attributes must be a table"
  end
  return nil, "Telemetry logging is disabled: log entry will not be recorded. Ensure the OpenTelemetry plugin is "
    .. "correctly configured to report logs in order to use this feature."
end

return {
  new = function()
    return telemetry
  end,
}
