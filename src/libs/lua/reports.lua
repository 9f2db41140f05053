-- `kong.reports`: Kong reports on itself to its makers unless it is told not to. This gateway never does; what
-- plugins note for such a report has nobody to go to.

local function nothing()
end

return {
  init_worker = nothing,
  log = nothing,
  --- Would note the version of the Redis that a plugin talks to.
  retrieve_redis_version = nothing,
  toggle = nothing,
  set_enabled = nothing,
  configure_ping = nothing,
  add_ping_value = nothing,
  add_immutable_value = nothing,
  get_ping_value = nothing,
  add_entity_reports = nothing,
  send = nothing,
}
