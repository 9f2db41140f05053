-- The two tiers of an mlcache: the worker's own list of Lua values, and the shared dictionaries of all
-- workers. A cached nil is `MISS` in the own tier; in the shared one it is an encoded nil, in `shm_miss`
-- where there is one.

local bit = require("bit")
local buffer = require("string.buffer")
local read = require("moongate.ops").cache.read

local encode, decode = buffer.encode, buffer.decode
local band, bor, lshift, rshift = bit.band, bit.bor, bit.lshift, bit.rshift
local ngx_log, WARN = ngx.log, ngx.WARN
local type, pcall, error = type, pcall, error

local M = {}

local MISS = {}
M.MISS = MISS

-- What a stranger asks for in vain may be as long as a request's head, and the own tier counts values, not
-- bytes: misses of longer keys are left to the shared tier, which counts bytes.
local LONGEST_MISS = 256

-- A shared value's flags: two bits below, how often it was renewed in the upper half.
local STALE, NO_TTL = 1, 2
M.STALE, M.NO_TTL = STALE, NO_TTL

--- How often a value was renewed, from its flags.
function M.version_of(flags)
  return band(rshift(flags, 16), 0xffff)
end

--- The flags of a value renewed so often.
function M.flags_of(version)
  return lshift(version, 16)
end

--- Whether the flags say that a value lives without an end.
function M.is_endless(flags)
  return band(flags, NO_TTL) ~= 0
end

local CACHEABLE = { ["nil"] = true, number = true, boolean = true, string = true, table = true }

--- Reads the shared tier.
-- @return the encoded value or nil, flags, whether it is stale, seconds left, whether it came from `shm_miss`
function M.read(self, shm_key)
  local encoded, flags, stale, left = read(self.number, shm_key)
  if encoded == nil and self.miss_number then
    encoded, flags, stale, left = read(self.miss_number, shm_key)
    return encoded, flags, stale, left, true
  end
  return encoded, flags, stale, left, false
end

--- Decodes what `read` gave: the value, or `nil, err`.
function M.decode(encoded)
  local ok, value = pcall(decode, encoded)
  if not ok then
    return nil, "could not deserialize value after lua_shared_dict retrieval: " .. value
  end
  return value
end

--- Puts a value into the own tier. Answers what is kept there (`MISS` for nil), or `nil, err` of the
-- serializer.
function M.keep_own(self, key, value, ttl, neg_ttl, serializer)
  if value == nil then
    if #key > LONGEST_MISS then
      return MISS
    end
    value, ttl = MISS, neg_ttl
  elseif serializer then
    local ok, made, err = pcall(serializer, value)
    if not ok then
      return nil, "l1_serializer threw an error: " .. tostring(made)
    elseif err then
      return nil, err
    elseif made == nil then
      return nil, "l1_serializer returned a nil value"
    end
    value = made
  end
  self.lru:set(key, value, ttl ~= 0 and ttl or nil)
  return value
end

--- The text of a value for the shared tier, or `nil, err` when it cannot have one.
function M.encode(value)
  if not CACHEABLE[type(value)] then
    return nil, "cannot cache value of type " .. type(value)
  end
  local ok, encoded = pcall(encode, value)
  if not ok then
    return nil, encoded
  end
  return encoded
end

--- Puts an encoded value into the shared tier. No room is an error only if `strict`.
function M.keep_shared(self, shm_key, encoded, is_nil, ttl, flags, tries, strict)
  local dict, name = self.dict, self.shm
  if is_nil and self.dict_miss then
    dict, name = self.dict_miss, self.shm_miss
  end
  flags = flags or 0
  if ttl == 0 then
    flags = bor(flags, NO_TTL)
  end
  local ok, err
  local tried = 0
  repeat
    tried = tried + 1
    ok, err = dict:set(shm_key, encoded, ttl, flags)
  until ok or err ~= "no memory" or tried >= tries
  if ok then
    return true
  elseif strict or err ~= "no memory" then
    return nil, "could not write to lua_shared_dict '" .. name .. "': " .. err
  end
  ngx_log(WARN, "could not write to lua_shared_dict '", name, "' after ", tried, " tries (no memory), ",
    "it is either fragmented or cannot allocate more memory, consider increasing 'opts.shm_set_tries'")
  return true
end

--- Puts a value into both tiers; answers as `keep_own`. Raises for a value that cannot be cached: what is
-- held meanwhile has to be given back before, so callers that hold something encode first and pass
-- `encoded`.
function M.keep(self, key, shm_key, value, encoded, ttl, neg_ttl, flags, tries, serializer, strict)
  if not encoded then
    local err
    encoded, err = M.encode(value)
    if not encoded then
      error(err, 0)
    end
  end
  local is_nil = value == nil
  local ok, err = M.keep_shared(self, shm_key, encoded, is_nil, is_nil and neg_ttl or ttl, flags, tries,
    strict)
  if not ok then
    return nil, err
  end
  ok, err = M.keep_own(self, key, value, ttl, neg_ttl, serializer)
  if not ok and err then
    -- what the serializer refuses shall be made anew, not found in the shared tier
    local dict = is_nil and self.dict_miss or self.dict
    dict:delete(shm_key)
  end
  return ok, err
end

--- Looks into the shared tier and takes what lives there into the own one.
-- @return the value (`MISS` for a cached nil) or nil, an error, whether it is only a stale one, whether it
-- was resurrected
function M.look(self, key, shm_key, serializer)
  local encoded, flags, stale, left = M.read(self, shm_key)
  if encoded == nil then
    return nil
  end
  local value, err = M.decode(encoded)
  if err then
    return nil, err
  elseif stale then
    return value, nil, true
  end
  local resurrected = band(flags, STALE) ~= 0
  if band(flags, NO_TTL) ~= 0 then
    left = 0
  elseif left < 0.001 then
    -- it dies right now: used, not kept (a ttl of 0 would keep it for ever)
    return value, nil, nil, resurrected
  end
  value, err = M.keep_own(self, key, value, left, left, serializer)
  if err then
    return nil, err
  end
  return value, nil, nil, resurrected
end

return M
