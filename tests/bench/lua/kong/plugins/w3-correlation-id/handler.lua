-- Gives each request a UUID, told to the upstream and to the client.
local kong = kong
local random, fmt = math.random, string.format

local CorrelationId = { PRIORITY = 900, VERSION = "1.0.0" }

local function uuid4()
  return fmt("%08x-%04x-4%03x-%x%03x-%08x%04x", random(0, 0xffffffff), random(0, 0xffff), random(0, 0xfff),
    random(8, 11), random(0, 0xfff), random(0, 0xffffffff), random(0, 0xffff))
end

function CorrelationId:access(conf)
  local id = uuid4()
  kong.ctx.shared.id = id
  kong.service.request.set_header(conf.header, id)
end

function CorrelationId:header_filter(conf)
  local id = kong.ctx.shared.id
  if id then
    kong.response.set_header(conf.header, id)
  end
end

return CorrelationId
