-- kong.client

local ops = require "moongate.ops"
local entities = require "moongate.entities"
local phases = require "kong.pdk.private.phases"
local scope = require "moongate.scope"

local op = ops["kong.client"]
local check, check_not = phases.check, phases.check_not
local PHASES = phases.phases
local type, error = type, error

local INIT_WORKER = PHASES.init_worker
local AUTH = phases.new(PHASES.access, PHASES.header_filter, PHASES.response, PHASES.body_filter, PHASES.log)
local ACCESS = PHASES.access
local UUID = "^" .. ("%x"):rep(8) .. ("%-" .. ("%x"):rep(4)):rep(3) .. "%-" .. ("%x"):rep(12) .. "$"

local client = {}

for _, name in ipairs { "get_ip", "get_forwarded_ip", "get_port", "get_forwarded_port" } do
  local get = op[name]
  client[name] = function()
    check_not(INIT_WORKER)
    return (get())
  end
end

function client.get_credential()
  check(AUTH)
  return scope.field("authenticated_credential")
end

function client.get_consumer()
  check(AUTH)
  return scope.field("authenticated_consumer")
end

function client.load_consumer(consumer_id, search_by_username)
  check(AUTH)
  if not consumer_id or type(consumer_id) ~= "string" then
    error("consumer_id must be a string", 2)
  end
  if not consumer_id:find(UUID) and not search_by_username then
    error("cannot load a consumer with an id that is not a uuid", 2)
  end
  local at = op.find_consumer(consumer_id, search_by_username)
  return at and entities.consumer(at)
end

function client.authenticate(consumer, credential)
  check(ACCESS)
  if consumer ~= nil and type(consumer) ~= "table" then
    error("consumer must be a table or nil", 2)
  elseif credential ~= nil and type(credential) ~= "table" then
    error("credential must be a table or nil", 2)
  elseif credential == nil and consumer == nil then
    error("either credential or consumer must be provided", 2)
  end
  local ctx = scope.ctx()
  ctx.authenticated_consumer = consumer
  ctx.authenticated_credential = credential
  scope.tables().consumer = consumer
  op.set_consumer(consumer and consumer.id)
end

function client.get_protocol(allow_terminated)
  check(AUTH)
  local route = entities.route()
  if not route then
    return nil, "No active route found"
  end
  local protocols = route.protocols
  if #protocols == 1 then
    return protocols[1]
  end
  local https, err = op.is_https(allow_terminated)
  if err then
    return nil, err
  end
  return https and "https" or "http"
end

client.tls = require("kong.pdk.client.tls").new()

return {
  new = function()
    return client
  end,
}
