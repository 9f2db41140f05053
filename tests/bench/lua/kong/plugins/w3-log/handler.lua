-- Encodes a log record; it is not written anywhere.
local kong = kong
local encode, time = require("cjson").encode, ngx.time

local Log = { PRIORITY = 12, VERSION = "1.0.0" }

local line

function Log:log()
  local shared = kong.ctx.shared
  if not shared.id then
    return
  end
  local request = kong.request
  line = encode {
    time = time(), method = request.get_method(), path = request.get_path_with_query(),
    status = kong.response.get_status(), client = kong.client.get_ip(), consumer = shared.consumer,
    correlation_id = shared.id, remaining = shared.remaining,
  }
end

function Log.last_line()
  return line
end

return Log
