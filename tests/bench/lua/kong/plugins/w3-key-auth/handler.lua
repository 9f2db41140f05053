-- Knows a thousand keys; refuses others.
local kong = kong
local fmt = string.format

local consumers = {}
for i = 1, 1000 do
  consumers[fmt("key-%04d", i)] = fmt("consumer-%04d", i)
end

local KeyAuth = { PRIORITY = 1250, VERSION = "1.0.0" }

function KeyAuth:access()
  local key = kong.request.get_header("x-api-key")
  local consumer = key and consumers[key]
  if not consumer then
    return kong.response.exit(401)
  end
  kong.ctx.shared.consumer = consumer
end

return KeyAuth
