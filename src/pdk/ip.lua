-- kong.ip

local op = require("moongate.ops")["kong.ip"]

local ip = {}

function ip.is_trusted(address)
  return (op.is_trusted(address))
end

return {
  -- A configuration of one's own has addresses of its own.
  new = function(_, config)
    local ips = config and config.trusted_ips
    if type(ips) ~= "table" then
      return ip
    end
    local valid, known = require("kong.tools.ip").is_valid_ip_or_cidr, {}
    for _, address in ipairs(ips) do
      if valid(address) then
        known[#known + 1] = address
      end
    end
    local matcher = known[1] and require("resty.ipmatcher").new(known)
    return {
      is_trusted = function(address)
        return matcher ~= nil and not not matcher:match(address)
      end,
    }
  end,
}
