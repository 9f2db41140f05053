-- kong.ip

local op = require("moongate.ops")["kong.ip"]

local ip = {}

function ip.is_trusted(address)
  return (op.is_trusted(address))
end

return {
  new = function()
    return ip
  end,
}
