-- ngx.ctx.balancer_data: where the request goes, as a plain table. It is made when ngx.ctx is first looked at after
-- the router found a route, and again brought up to date after each try; what plugins write there is read back at
-- the end of access and before each retry.

local op = require("moongate.ops")["moongate.balancer"]
local scope = require "moongate.scope"

local type, pcall, error, ipairs, rawget = type, pcall, error, ipairs, rawget
local tostring, tonumber, setmetatable = tostring, tonumber, setmetatable

local balancer = {}

local array_mt

-- Brings a table up to date with what was tried.
local function refresh(data)
  local count, tries, ip, port, hostname, hash_value, preserve_host = op.outcome()
  if not count then
    return
  end
  if array_mt == nil then
    array_mt = require("cjson.safe").array_mt or false
  end
  data.try_count, data.tries = count, array_mt and setmetatable(tries, array_mt) or tries
  if ip then
    data.ip, data.port, data.hostname = ip, port, hostname
  end
  data.hash_value, data.preserve_host = hash_value, preserve_host
end

local function make()
  local scheme, kind, host, port, retries, connect, write, read = op.target()
  local data = {
    scheme = scheme, type = kind, host = host, port = port, try_count = 0, retries = retries,
    connect_timeout = connect, send_timeout = write, read_timeout = read,
  }
  refresh(data)
  return data
end

--- Puts balancer_data into ngx.ctx.
function balancer.make(ctx)
  local data = make()
  ctx.balancer_data = data
  return data
end

--- Brings up to date what is there.
function balancer.fill(ctx)
  local data = rawget(ctx, "balancer_data")
  if type(data) == "table" and op.is_stale() then
    refresh(data)
  end
end

--- The table, where ngx.ctx has one.
function balancer.data()
  local data = scope.field("balancer_data")
  return type(data) == "table" and data or nil
end

--- The table, made where there is none.
function balancer.table()
  local data = balancer.data()
  if not data then
    data = balancer.make(scope.ctx())
  end
  return data
end

local function number(value)
  return type(value) == "number" and value or type(value) == "string" and tonumber(value) or nil
end

--- Takes what plugins wrote.
function balancer.read_back()
  local data = balancer.data()
  if data then
    op.apply(data.host, number(data.port), number(data.retries), number(data.connect_timeout),
             number(data.send_timeout), number(data.write_timeout), number(data.read_timeout), data.hash_value,
             type(data.retry_callback) == "function")
  end
end

--- Asks a plugin's function where the next try goes; it says so by kong.service.set_target or balancer_data.
function balancer.retry()
  local data = balancer.data()
  local callback = data and data.retry_callback
  if type(callback) ~= "function" then
    return
  end
  refresh(data)
  local ok, answer, err = pcall(callback)
  if not ok or not answer then
    if err == nil then
      err = answer
    end
    error(tostring(err), 0)
  end
  balancer.read_back()
end

--- What a consumer is hashed by: its id, or the credential's.
function balancer.hash_consumer()
  local ctx = scope.ctx()
  for _, name in ipairs { "authenticated_consumer", "authenticated_credential" } do
    local entity = ctx[name]
    local id = type(entity) == "table" and entity.id
    if type(id) == "string" or type(id) == "number" then
      return op.set_hash_value(tostring(id))
    end
  end
end

return balancer
