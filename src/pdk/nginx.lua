-- kong.nginx

local op = require("moongate.ops")["kong.nginx"]

local nginx = {}

function nginx.get_subsystem()
  return "http"
end

function nginx.get_statistics()
  return op.get_statistics() or error("not supported: kong.nginx.get_statistics", 2)
end

return {
  new = function()
    return nginx
  end,
}
