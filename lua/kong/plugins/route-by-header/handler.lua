-- Picks host and port of the upstream by a request header. In Kong's own layout: kong/plugins/<name>/.

local RouteByHeader = {
  PRIORITY = 800,
  VERSION = "1.0.0",
}

function RouteByHeader:access(conf)
  local value = kong.request.get_header(conf.header)
  if not value then
    return
  end

  local target = conf.targets[value]
  if not target then
    return kong.response.exit(400, { message = "no target for " .. conf.header .. ": " .. value })
  end

  local host, port = target:match("^(.+):(%d+)$")
  kong.service.set_target(host, tonumber(port))
  kong.response.set_header("X-Target", target)
end

return RouteByHeader
