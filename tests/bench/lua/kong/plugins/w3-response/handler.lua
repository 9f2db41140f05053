-- Edits response headers.
local kong = kong
local fmt = string.format

local Response = { PRIORITY = 800, VERSION = "1.0.0" }

function Response:header_filter(conf)
  local remaining = kong.ctx.shared.remaining
  if not remaining then
    return
  end
  local response = kong.response
  response.set_header("x-ratelimit-remaining", fmt("%d", remaining))
  response.set_header("x-gateway", conf.gateway)
  response.clear_header("x-upstream")
end

return Response
