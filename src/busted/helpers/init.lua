-- `spec.helpers`: what Kong's specs ask of their helpers. Specs of schemas, entities and single modules run with
-- it; what starts a gateway or talks to one is not there yet and says so.

local constants = require "moongate.spec.constants"
local database = require "moongate.spec.database"
local misc = require "moongate.spec.misc"
local wait = require "moongate.spec.wait"

require "moongate.spec.asserts"

local M = {
  dir = require "pl.dir",
  path = require "pl.path",
  file = require "pl.file",
  utils = require "pl.utils",
}

for _, part in ipairs { constants.exported, database.exported, misc, wait } do
  for name, value in pairs(part) do
    M[name] = value
  end
end

-- What needs a gateway that runs, or servers beside it.
local MISSING = [[
  start_kong stop_kong restart_kong reload_kong cleanup_kong kong_exec kill_all signal signal_workers
  get_kong_workers wait_until_no_common_workers prepare_prefix clean_prefix get_running_conf get_version
  proxy_client proxy_ssl_client proxy_client_grpc proxy_client_grpcs proxy_client_h2 proxy_client_h2c
  admin_client admin_ssl_client admin_gui_client admin_gui_ssl_client http_client grpc_client http2_client
  clustering_client make_synchronized_clients wait_timer wait_for_all_config_update wait_for_invalidation wait_pid
  tcp_server udp_server kill_tcp_server is_echo_server_ready echo_server_reset get_echo_server_received_data
  http_mock https_server stress_generator dns_mock start_grpc_target stop_grpc_target get_grpc_target_port
  use_old_plugin build_go_plugins openresty_ver_num bootstrap_database
]]

local missing = {}
for name in MISSING:gmatch("%S+") do
  missing[name] = true
end

return setmetatable(M, {
  __index = function(_, name)
    if missing[name] then
      error("not supported: spec.helpers." .. name, 2)
    end
    local make = database.lazy[name]
    return make and make()
  end,
})
