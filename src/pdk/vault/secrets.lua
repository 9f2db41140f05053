-- Secrets in two tiers: this state's own (an LRU by reference), and the dictionary `kong_secrets`, which all
-- workers share, by the digest of the vault's configuration and the reference. A secret lives in the first
-- for its ttl and in the second for longer, so that it can be brought back while its vault is away; a timer
-- of one worker at a time renews what is past its ttl.

local lrucache = require("resty.lrucache")
local strategies = require("moongate.vault.strategies")
local decode_json = require("cjson.safe").new().decode
local yield = require("kong.tools.yield").yield

local ngx = ngx
local type, ipairs, tostring, tonumber = type, ipairs, tostring, tonumber
local fmt, max, min = string.format, math.max, math.min

local MISSING = "\0" -- kept in the shared tier for a secret that its vault does not have
local MAX_TTL = require("kong.constants").DATABASE.DAO_MAX_TTL
local INTERVAL = tonumber(os.getenv("KONG_VAULT_ROTATION_INTERVAL"), 10) or 60
local LEAST_TTL = INTERVAL * 2 -- a secret must survive until the next rotation
local ONE_AT_A_TIME = { name = "vault-rotation", exptime = INTERVAL * 1.5, timeout = 0 }

local M = { INTERVAL = INTERVAL }
M.__index = M

function M.new(pdk)
  return setmetatable({
    pdk = pdk,
    strategies = strategies.new(pdk),
    own = lrucache.new(1000),
    shared = ngx.shared.kong_secrets,
    waiting = {}, -- what was asked for in init_worker, where nothing can be waited for
    is_waiting = {},
  }, M)
end

local function log(self)
  return self.pdk and self.pdk.log or kong.log
end

local function field_of_json(text, key)
  local object, err = decode_json(text)
  if type(object) ~= "table" then
    return nil, fmt("unable to json decode value (%s): %s", tostring(object), tostring(err))
  end
  local value = object[key]
  if value == nil then
    return nil, fmt("subfield %s not found in JSON secret", key)
  elseif type(value) ~= "string" then
    return nil, fmt("unexpected %s value in JSON secret for subfield %s", type(value), key)
  end
  return value
end

-- `ask(found)` is the strategy's get, or a cached one during a rotation.
local function read(found, ask)
  local value, err, ttl = ask(found)
  if value == nil then
    return nil, err and fmt("no value found (%s)", tostring(err)) or "no value found"
  elseif type(value) ~= "string" then
    return nil, fmt("value returned from vault has invalid type (%s), string expected", type(value))
  elseif not found.key then
    return value, nil, ttl
  end
  value, err = field_of_json(value, found.key)
  if not value then
    return nil, "could not get subfield value: " .. err
  end
  return value, nil, ttl
end

local function ask_strategy(found)
  return found.strategy.get(found.config, found.resource, found.version)
end

-- Two fields of one secret are read from the vault once in a rotation, and so belong together.
local function ask_once()
  local answers = {}
  return function(found)
    local key = found.hash .. "." .. found.resource .. "." .. tostring(found.version or "")
    local answer = answers[key]
    if not answer then
      answer = { ask_strategy(found) }
      answers[key] = answer
    end
    return answer[1], answer[2], answer[3]
  end
end

-- What a vault says about a secret's life, within what its configuration allows. Never expiring is not known.
local function within_bounds(ttl, config)
  if type(ttl) ~= "number" then
    return config.ttl or MAX_TTL
  elseif ttl <= 0 then
    return MAX_TTL
  end
  local most, least = config.max_ttl, config.min_ttl
  if most and most > 0 and ttl > most then
    return most
  elseif least and ttl < least then
    return least
  end
  return ttl
end

-- What is kept in the shared tier, for how long, and for how long in the own one.
local function terms(value, config, ttl)
  if not value then
    return MISSING, max(config.neg_ttl or 0, LEAST_TTL)
  end
  ttl = within_bounds(ttl, config)
  if config.resurrect_ttl then
    local own = min(ttl + config.resurrect_ttl, MAX_TTL)
    return value, max(own, LEAST_TTL), own
  end
  return value, ttl + MAX_TTL, ttl
end

-- With `resurrect`, a vault that has no answer leaves the secret as it was.
local function fetch(self, reference, found, ask, resurrect)
  local value, err, ttl = read(found, ask)
  if resurrect and value == nil then
    local kept = self.shared:get(found.cache_key)
    if kept then
      return kept
    end
    return nil, fmt("could not get value from external vault (%s)", err)
  end
  local kept, shared_ttl, own_ttl = terms(value, found.config, ttl)
  local ok, refused = self.shared:safe_set(found.cache_key, kept, shared_ttl)
  if not ok then
    return nil, refused
  end
  self:rotate_from_now_on()
  if kept == MISSING then
    return nil, fmt("could not get value from external vault (%s)", err)
  end
  self.own:set(reference, kept, own_ttl)
  return kept
end

--- The secret; nil and why there is none (without a reason where that is known already). With `cached_only`
--- no vault is asked. In init_worker, what would have to be waited for is "" and comes with a timer.
function M:get(reference, cached_only)
  local value = self.own:get(reference)
  if value then
    return value
  end
  local found, err = strategies.find(self.strategies, reference)
  if not found then
    return nil, err
  end
  local key = found.cache_key
  value = self.shared:get(key)
  if value == MISSING then
    return nil
  elseif value then
    local ttl = (self.shared:ttl(key) or 0) - (found.config.resurrect_ttl or MAX_TTL)
    if ttl > 0 then
      self.own:set(reference, value, ttl)
    end
    self:rotate_from_now_on()
    return value
  elseif cached_only then
    return nil, "could not find cached value"
  elseif not found.strategy.immediate and ngx.get_phase() == "init_worker" then
    if not self.is_waiting[reference] then
      self.is_waiting[reference] = true
      self.waiting[#self.waiting + 1] = reference
      self:in_background("secret-rotation-on-init", true)
    end
    return ""
  end
  return fetch(self, reference, found, ask_strategy)
end

local function renew(self, reference, ask)
  local found, err = strategies.find(self.strategies, reference)
  if not found then
    return nil, fmt("could not parse reference %s (%s)", reference, err)
  end
  local value
  value, err = fetch(self, reference, found, ask)
  if not value then
    return nil, fmt("could not retrieve value for reference %s (%s)", reference, tostring(err))
  end
  return true
end

--- Asks the vaults for these references, whatever is cached.
function M:renew_all(references)
  local phase, ask = ngx.get_phase(), ask_once()
  for _, reference in ipairs(references) do
    yield(true, phase)
    local ok, err = renew(self, reference, ask)
    if not ok then
      log(self).warn(err)
    end
  end
  return true
end

-- One key of the shared tier: asked for again if it is missing or past its ttl.
local function rotate(self, key, ask)
  local shared = self.shared
  local reference, err = strategies.reference_of(key)
  if not reference then
    shared:delete(key)
    return nil, err
  end
  local found
  found, err = strategies.find(self.strategies, reference)
  if not found then
    shared:delete(key) -- its vault is gone
    return nil, fmt("could not parse reference %s (%s)", reference, err)
  end
  if key ~= found.cache_key then
    shared:delete(key) -- its vault's configuration is another now
  end
  local resurrect
  local ttl = shared:ttl(found.cache_key)
  if ttl and shared:get(found.cache_key) ~= MISSING then
    if ttl > max(found.config.resurrect_ttl or MAX_TTL, LEAST_TTL) then
      return true
    end
    resurrect = ttl > LEAST_TTL
  end
  local value
  value, err = fetch(self, reference, found, ask, resurrect)
  if not value then
    return nil, fmt("could not retrieve value for reference %s (%s)", reference, tostring(err))
  end
  return true
end

local function rotate_all(self)
  local phase, ask = ngx.get_phase(), ask_once()
  for _, key in ipairs(self.shared:get_keys(0)) do
    yield(true, phase)
    local ok, err = rotate(self, key, ask)
    if not ok then
      log(self).notice(err)
    end
  end
  return true
end

local function get_waiting(self)
  local references = self.waiting
  self.waiting, self.is_waiting = {}, {}
  return self:renew_all(references)
end

local function on_timer(premature, self, initial)
  if premature then
    return
  end
  local ok, err = require("kong.concurrency").with_worker_mutex(ONE_AT_A_TIME, function()
    return (initial and get_waiting or rotate_all)(self)
  end)
  if not ok and err ~= "timeout" then
    log(self).err("rotating secrets failed (", err, ")")
  elseif not ok and initial then
    -- each state waits for references of its own: they are not another's to get
    get_waiting(self)
  end
end

--- Starts a rotation (or, `initial`, the wait for what init_worker asked for) at once, in a timer.
function M:in_background(what, initial)
  local ok, err = ngx.timer.at(0, on_timer, self, initial)
  if not ok then
    log(self).err("could not schedule timer to rotate vault secret references (", what, "): ", err)
  end
end

--- A gateway without secrets has no timer for them; one that is not `armed` (a command, specs) has none
--- either.
function M:rotate_from_now_on()
  if not self.armed or self.rotating then
    return
  end
  self.rotating = true
  local ok, err = ngx.timer.every(INTERVAL, on_timer, self)
  if not ok then
    log(self).err("could not schedule timer to rotate vault secret references: ", err)
  end
end

--- Forgets this state's own tier and renews the shared one in the background.
function M:flush()
  self.own:flush_all()
  self:in_background("flush")
end

return M
