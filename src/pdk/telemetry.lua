-- kong.telemetry: lines for an exporter of logs (the opentelemetry plugin), where one is on.

local type = type

local GROUP = "observability_logs"

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
  -- nothing is on where nobody has loaded it
  local hooks = package.loaded["kong.dynamic_hook"]
  if not hooks or not hooks.is_group_enabled(GROUP) then
    return nil, "Telemetry logging is disabled: log entry will not be recorded. Ensure the OpenTelemetry plugin is "
      .. "correctly configured to report logs in order to use this feature."
  end
  attributes = attributes or {}
  attributes["message.type"] = message_type
  attributes["plugin.name"] = plugin_name
  attributes["plugin.id"] = plugin_config.__plugin_id
  attributes["plugin.instance.name"] = plugin_config.plugin_instance_name
  -- 5 calls up from the hook (pcall, run_hook, this) is who called
  hooks.run_hook(GROUP, "push", 5, attributes, nil, message)
  return true
end

return {
  new = function()
    return telemetry
  end,
}
