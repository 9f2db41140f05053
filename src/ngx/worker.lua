-- ngx.worker and ngx.config.

local ngx = ...
local ops = require("moongate.ops").ngx_worker

ngx.worker = {
  id = ops.id,
  pid = ops.pid,
  count = ops.count,
  exiting = ops.exiting,
  pids = ops.pids,
}

ngx.config = {
  subsystem = "http",
  debug = false,
  prefix = ops.prefix,
  nginx_version = 1027001,
  ngx_lua_version = 10028,
  is_console = false,
}

function ngx.config.nginx_configure()
  return ""
end
