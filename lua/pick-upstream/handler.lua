-- Picks one of the configured Upstreams by a request header. In the short layout: <name>/ right below lua/.

local PickUpstream = {
  PRIORITY = 790,
  VERSION = "1.0.0",
}

function PickUpstream:access(conf)
  local value = kong.request.get_header(conf.header)
  local upstream = value and conf.upstreams[value] or conf.default
  if not upstream then
    return
  end

  local ok, err = kong.service.set_upstream(upstream)
  if not ok then
    kong.log.err(err)
    return kong.response.exit(503, { message = "no such upstream: " .. upstream })
  end
  kong.response.set_header("X-Upstream", upstream)
end

return PickUpstream
