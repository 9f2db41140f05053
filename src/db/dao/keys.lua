-- `kong.db.dao.keys`: JSON web keys and PEM keys, by key id and set.

local type, tostring = type, tostring

local M = {}

--- The cache key: key id and set are unique, whatever the workspace.
function M:cache_key(key)
  local set = key.set
  local set_id = type(set) == "table" and set.id or ""
  return "keys:" .. tostring(key.kid) .. ":" .. set_id
end

local NO_PRIVATE = "could not load a private key from public key material"

local function load_key(key, part)
  local pkey = require "resty.openssl.pkey"
  local loaded, err
  if key.jwk then
    loaded, err = pkey.new(key.jwk, { format = "JWK" })
  end
  if key.pem then
    local name = part .. "_key"
    -- a public key can be made of a private one, not the other way
    if part == "private" and not key.pem[name] then
      return nil, NO_PRIVATE
    end
    loaded, err = pkey.new(key.pem[name], { format = "PEM" })
  end
  if not loaded then
    return nil, "could not load pkey. " .. tostring(err)
  elseif part == "private" and not loaded:is_private() then
    return nil, NO_PRIVATE
  end
  return loaded
end

local function text_of(key, part)
  local loaded, err = load_key(key, part)
  if not loaded then
    return nil, err
  end
  return loaded:tostring(part, key.jwk and "JWK" or "PEM")
end

--- The public part, in the format the key has.
function M:get_pubkey(key)
  return text_of(key, "public")
end

--- The private part.
function M:get_privkey(key)
  return text_of(key, "private")
end

return M
