-- ngx.process.

local ngx = ...
local ops = require("moongate.ops").ngx_process
local type, error = type, error

local M = { version = "0.1.29", type = ops.type, get_master_pid = ops.master_pid }

function M.signal_graceful_exit()
  error("not supported: ngx.process.signal_graceful_exit", 2)
end

function M.enable_privileged_agent(connections)
  if ngx.get_phase() ~= "init" then
    return nil, "API disabled in the current context"
  end
  if connections ~= nil and (type(connections) ~= "number" or connections < 0) then
    return nil, "bad 'connections' argument: number expected and greater than 0"
  end
  error("not supported: ngx.process.enable_privileged_agent", 2)
end

package.preload["ngx.process"] = function()
  return M
end
