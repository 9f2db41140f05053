-- A light plugin: refuses without a key, edits three request headers and one response header.
local kong = kong

local W1 = { PRIORITY = 1000, VERSION = "1.0.0" }

function W1:access()
  if not kong.request.get_header("x-api-key") then
    return kong.response.exit(401)
  end
  local request = kong.service.request
  request.set_header("x-gw-a", "1")
  request.set_header("x-gw-b", "2")
  request.clear_header("x-remove")
end

function W1:header_filter()
  kong.response.set_header("x-gw", "1")
end

return W1
