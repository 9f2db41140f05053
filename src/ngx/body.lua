-- ngx.req's body.

local ngx = ...
local ops = require("moongate.ops")
local body, take = ops.ngx_body, ops.vm.take
local read = body.read
local error, select = error, select

local function done(...)
  if select("#", ...) == 0 then
    return take()
  end
  return ...
end

function ngx.req.read_body(...)
  local ok, err = done(read(...))
  if not ok then
    error(err, 2)
  end
end

ngx.req.get_body_data = body.data
ngx.req.get_body_file = body.file
ngx.req.set_body_data = body.set_data
ngx.req.set_body_file = body.set_file
ngx.req.discard_body = body.discard
ngx.req.init_body = body.init
ngx.req.append_body = body.append
ngx.req.finish_body = body.finish
