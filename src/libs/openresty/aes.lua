-- `resty.aes`: AES with a key made of a password, as OpenSSL's EVP_BytesToKey makes it.

local cipher = require "resty.openssl.cipher"
local ops = require("moongate.ops").libs

local M = { _VERSION = "0.15" }
local mt = { __index = M }

-- the digests' names stand for themselves
M.hash = { md5 = "md5", sha1 = "sha1", sha224 = "sha224", sha256 = "sha256", sha384 = "sha384", sha512 = "sha512" }

--- `aes.cipher(size, mode)`.
function M.cipher(size, mode)
  size, mode = size or 128, mode or "cbc"
  local name = "aes-" .. size .. "-" .. mode
  if not cipher.new(name) then
    return nil
  end
  return { size = size, cipher = mode, name = name }
end

local function derive(digest, salt, password, rounds, wanted)
  local made, block = "", ""
  while #made < wanted do
    block = ops.digest(digest, block .. password .. (salt or ""))
    for _ = 2, rounds do
      block = ops.digest(digest, block)
    end
    made = made .. block
  end
  return made
end

--- `hash`: a digest's name, or a table with `iv` (and `method`, which makes the key).
function M.new(_, key, salt, kind, hash, rounds, iv_len, enable_padding)
  kind = kind or M.cipher(128, "cbc")
  hash = hash or M.hash.md5
  if enable_padding ~= nil and type(enable_padding) ~= "boolean" then
    return nil, "bad enable_padding"
  end
  local size = kind.size / 8
  local wanted_iv = kind.cipher == "gcm" and (iv_len or 12) or kind.cipher == "ecb" and 0 or 16
  local real_key, iv
  if type(hash) == "table" then
    if not hash.iv or #hash.iv > 16 then
      return nil, "bad iv"
    end
    if hash.method then
      local made = hash.method(key)
      if #made ~= size then
        return nil, "bad key length"
      end
      real_key = made
    elseif #key ~= size then
      return nil, "bad key length"
    else
      real_key = key
    end
    iv = hash.iv
  else
    if salt and #salt ~= 8 then
      return nil, "salt must be 8 characters or nil"
    end
    local made = derive(hash, salt, key, rounds or 1, size + wanted_iv)
    real_key, iv = made:sub(1, size), made:sub(size + 1, size + wanted_iv)
  end
  return setmetatable({ kind = kind, key = real_key, iv = iv, no_padding = enable_padding == false }, mt)
end

function M:encrypt(s, aad)
  local c = cipher.new(self.kind.name)
  local text, err = c:encrypt(self.key, self.iv, s, self.no_padding, aad)
  if not text then
    return nil, err
  end
  if self.kind.cipher == "gcm" then
    return { text, c:get_aead_tag(16) }
  end
  return text
end

function M:decrypt(s, tag, aad)
  local c = cipher.new(self.kind.name)
  return c:decrypt(self.key, self.iv, s, self.no_padding, aad, tag)
end

return M
