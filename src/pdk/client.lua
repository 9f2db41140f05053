-- kong.client

local ops = require "moongate.ops"
local entities = require "moongate.entities"
local phases = require "kong.pdk.private.phases"
local scope = require "moongate.scope"

local native, ffi_string = require "moongate.native", require("ffi").string
local op = ops["kong.client"]
local check, check_not = phases.check, phases.check_not
local PHASES = phases.phases
local type, error, pairs, rawget, getmetatable = type, error, pairs, rawget, getmetatable

local INIT_WORKER = PHASES.init_worker
local AUTH = phases.new(PHASES.access, PHASES.header_filter, PHASES.response, PHASES.body_filter, PHASES.log)
local ACCESS = PHASES.access
local UUID = "^" .. ("%x"):rep(8) .. ("%-" .. ("%x"):rep(4)):rep(3) .. "%-" .. ("%x"):rep(12) .. "$"

local client = {}

local get_ip, c_ip, reply, bytes = op.get_ip, native["kong.client"].get_ip, native.reply, native.bytes

function client.get_ip()
  check_not(INIT_WORKER)
  local n = c_ip(nil, 0, nil, 0, reply, 0, 0, 0, 0)
  return n >= 0 and ffi_string(bytes, n) or (get_ip())
end

for _, name in ipairs { "get_forwarded_ip", "get_port", "get_forwarded_port" } do
  local get = op[name]
  client[name] = function()
    check_not(INIT_WORKER)
    return (get())
  end
end

function client.get_credential()
  check(AUTH, true)
  return scope.field("authenticated_credential")
end

function client.get_consumer()
  check(AUTH, true)
  return scope.field("authenticated_consumer")
end

local function load_from(consumers, id, by_name)
  if id:find(UUID) then
    local found, err = consumers:select({ id = id })
    if found or err then
      return found, err
    end
  end
  if by_name then
    return consumers:select_by_username(id)
  end
end

function client.load_consumer(consumer_id, search_by_username)
  check(AUTH, true)
  if not consumer_id or type(consumer_id) ~= "string" then
    error("consumer_id must be a string", 2)
  end
  if not consumer_id:find(UUID) and not search_by_username then
    error("cannot load a consumer with an id that is not a uuid", 2)
  end
  -- a test may have put rows of its own in the place of the database
  local db = rawget(_G, "kong")
  db = db and rawget(db, "db")
  if db and not getmetatable(db) then
    return load_from(db.consumers, consumer_id, search_by_username)
  end
  local at = op.find_consumer(consumer_id, search_by_username)
  return at and entities.consumer(at)
end

function client.authenticate(consumer, credential)
  check(ACCESS, true)
  if consumer ~= nil and type(consumer) ~= "table" then
    error("consumer must be a table or nil", 2)
  elseif credential ~= nil and type(credential) ~= "table" then
    error("credential must be a table or nil", 2)
  elseif credential == nil and consumer == nil then
    error("either credential or consumer must be provided", 2)
  end
  local ctx = scope.noted()
  ctx.authenticated_consumer = consumer
  ctx.authenticated_credential = credential
  scope.tables().consumer = consumer
  op.set_consumer(consumer and consumer.id)
end

local function protocol(is_https)
  local route = entities.route()
  if not route then
    return nil, "No active route found"
  end
  local protocols = route.protocols
  if #protocols == 1 then
    return protocols[1]
  end
  local https, err = is_https()
  if err then
    return nil, err
  end
  return https and "https" or "http"
end

function client.get_protocol(allow_terminated)
  check(AUTH, true)
  return protocol(function()
    return op.is_https(allow_terminated)
  end)
end

client.tls = require("kong.pdk.client.tls").new()

local first

return {
  new = function(self)
    if not first then
      first = self
      return client
    end
    -- another PDK asks its own whom it trusts
    local own = {}
    for name, f in pairs(client) do
      own[name] = f
    end
    function own.get_protocol(allow_terminated)
      check(AUTH, true)
      return protocol(function()
        local trusted = self.ip.is_trusted(self.client.get_ip())
        return require("kong.tools.http").check_https(trusted, allow_terminated)
      end)
    end
    return own
  end,
}
