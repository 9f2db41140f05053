-- Edits request headers.
local kong = kong

local Request = { PRIORITY = 801, VERSION = "1.0.0" }

function Request:access(conf)
  local request = kong.service.request
  request.set_header("x-consumer", kong.ctx.shared.consumer)
  request.set_header("x-gateway", conf.gateway)
  request.clear_header("x-api-key")
  request.clear_header("x-internal")
end

return Request
