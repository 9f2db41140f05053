-- kong.router

local entities = require "moongate.entities"
local phases = require "kong.pdk.private.phases"

local check = phases.check
local PHASES = phases.phases
local MATCHED = phases.new(PHASES.access, PHASES.header_filter, PHASES.response, PHASES.body_filter, PHASES.log)

local router = {}

function router.get_route()
  check(MATCHED, true)
  return (entities.route())
end

function router.get_service()
  check(MATCHED, true)
  return (entities.service())
end

return {
  new = function()
    return router
  end,
}
