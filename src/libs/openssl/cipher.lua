--- `resty.openssl.cipher`: AES in the modes CBC, ECB, CTR and GCM, and keys wrapped with it.

local ops = require("moongate.ops").openssl
local object = require "moongate.openssl.object"
local params = require "moongate.openssl.params"
local wrap = object.kind()

local ipairs, rawget, setmetatable = ipairs, rawget, setmetatable
local concat, tonumber, tostring, type = table.concat, tonumber, tostring, type

local _M = {}
local mt = { __index = _M }

--- A cipher by name.
function _M.new(name)
  if not name then
    return nil, "cipher.new: expect type to be defined"
  end
  local key_size, iv_size, block_size, aead = ops.cipher_info(name)
  if not key_size then
    return nil, ('cipher.new: invalid cipher type "%s": '):format(tostring(name))
      .. "error:308010C:digital envelope routines:inner_evp_generic_fetch:unsupported:evp/evp_fetch.c:355:"
  end
  return setmetatable({
    ctx = name,
    algo = name,
    initialized = false,
    key_size = key_size,
    iv_size = iv_size,
    block_size = block_size,
    _aead = aead,
  }, mt)
end

--- Whether `v` is a cipher.
function _M.istype(v)
  return type(v) == "table" and rawget(v, "key_size") ~= nil and rawget(v, "block_size") ~= nil
end

function _M.set_buffer_size()
  return true
end

--- Sets key, vector and direction.
function _M:init(key, iv, opts)
  opts = opts or {}
  if not key or #key ~= self.key_size then
    return false, ("cipher:init: incorrect key size, expect %d"):format(self.key_size)
  end
  if self.iv_size > 0 and (not iv or #iv ~= self.iv_size) then
    return false, ("cipher:init: incorrect iv size, expect %d"):format(self.iv_size)
  end
  self._encrypt, self._padded, self._iv = opts.is_encrypt or false, not opts.no_padding, iv
  local running, err = ops.cipher_start(self.algo, self._encrypt, not opts.no_padding, key, iv or "")
  if not running then
    return false, "cipher:init: " .. err
  end
  self._running = wrap(running)
  self.initialized = true
  return true
end

local function ready(self, name)
  if not self.initialized then
    return nil, "cipher:" .. name .. ": cipher not initalized, call cipher:init first"
  end
  return true
end

--- What is authenticated but not encrypted.
function _M:update_aead_aad(aad)
  local ok, err = ready(self, "update_aead_aad")
  if not ok then
    return nil, err
  end
  return ops.cipher_seal(self._running.id, aad)
end

--- The tag that encryption made.
function _M:get_aead_tag(size)
  local ok, err = ready(self, "get_aead_tag")
  if not ok then
    return nil, err
  end
  size = size or self.key_size / 2
  if size > self.key_size then
    return nil, ("tag size %d is too large"):format(size)
  end
  local tag = ops.cipher_tag(self._running.id)
  if not tag then
    return nil, "cipher:get_aead_tag failed"
  end
  return tag:sub(1, size)
end

--- The tag that decryption is to check.
function _M:set_aead_tag(tag)
  local ok, err = ready(self, "set_aead_tag")
  if not ok then
    return nil, err
  elseif type(tag) ~= "string" then
    return false, "cipher:set_aead_tag expect a string at #1"
  elseif not self._aead then
    return false, "cipher:set_aead_tag failed"
  end
  return ops.cipher_seal(self._running.id, nil, tag)
end

--- Takes in strings: what comes out so far.
function _M:update(...)
  local ok, err = ready(self, "update")
  if not ok then
    return nil, err
  end
  local out = {}
  for i, s in ipairs({ ... }) do
    out[i] = ops.cipher_update(self._running.id, s)
    if not out[i] then
      return nil, "cipher:update failed"
    end
  end
  return concat(out)
end

--- What comes out of all that was taken in, `s` last.
function _M:final(s)
  local ok, err = ready(self, "update")
  if not ok then
    return nil, err
  end
  local data
  data, err = ops.cipher_final(self._running.id, s or "")
  if data then
    return data
  elseif self.block_size == 8 then
    return nil, "cipher:final failed"
  elseif self._aead then
    return nil, "cipher:final: EVP_CipherFinal_ex failed"
  end
  local where = err == "bad decrypt" and "1C800064:Provider routines:ossl_cipher_unpadblock:"
    or "1C80006B:Provider routines:ossl_cipher_generic_block_final:"
  return nil, "cipher:final: EVP_CipherFinal_ex: error:" .. where .. err .. ":"
end

--- Encrypts in one go.
function _M:encrypt(key, iv, s, no_padding, aead_aad)
  local ok, err = self:init(key, iv, { is_encrypt = true, no_padding = no_padding })
  if not ok then
    return nil, err
  end
  if aead_aad then
    self:update_aead_aad(aead_aad)
  end
  return self:final(s)
end

--- Decrypts in one go.
function _M:decrypt(key, iv, s, no_padding, aead_aad, aead_tag)
  local ok, err = self:init(key, iv, { is_encrypt = false, no_padding = no_padding })
  if not ok then
    return nil, err
  end
  if aead_aad then
    self:update_aead_aad(aead_aad)
  end
  if aead_tag then
    ok, err = self:set_aead_tag(aead_tag)
    if not ok then
      return nil, err
    end
  end
  return self:final(s)
end

--- A key and a vector from a password, as OpenSSL's command line makes them.
function _M:derive(key, salt, count, md)
  if type(key) ~= "string" then
    return nil, nil, "cipher:derive: expect a string at #1"
  elseif salt and type(salt) ~= "string" then
    return nil, nil, "cipher:derive: expect a string at #2"
  elseif count and not tonumber(count) then
    return nil, nil, "cipher:derive: expect a number at #3"
  elseif md and type(md) ~= "string" then
    return nil, nil, "cipher:derive: expect a string or nil at #4"
  end
  if salt then
    salt = (salt .. ("\0"):rep(8)):sub(1, 8)
  end
  local length = self.key_size + self.iv_size
  local out = ops.bytes_to_key(md or "sha1", salt or "", key, tonumber(count) or 1, length)
  if not out then
    return nil, nil, ('cipher:derive: invalid digest type "%s"'):format(md)
  end
  return out:sub(1, self.key_size), out:sub(self.key_size + 1)
end

--- Where OpenSSL would have found the algorithm.
function _M:get_provider_name()
  return "default"
end

local U, OCTETS = params.UNSIGNED, params.OCTETS
local SIZES = { { "keylen", U, 8 }, { "ivlen", U, 8 } }
local GETTABLE = { SIZES[1], SIZES[2], { "padding", U, 4 }, { "num", U, 4 }, { "iv", OCTETS } }
local GETTABLE_AEAD = { SIZES[1], SIZES[2], { "taglen", U, 8 }, { "iv", OCTETS }, { "tag", OCTETS } }
local SETTABLE, SETTABLE_AEAD = { { "padding", U, 4 } }, { { "tag", OCTETS } }
local TAG_SIZE = 16

params.install(_M, "cipher", function(self)
  return self._aead and GETTABLE_AEAD or GETTABLE
end, function(self, name)
  if name == "keylen" then
    return self.key_size
  elseif name == "ivlen" then
    return self.iv_size
  elseif name == "taglen" then
    return TAG_SIZE
  elseif name == "padding" then
    return self._padded == false and 0 or 1
  elseif name == "num" then
    return 0
  elseif name == "iv" then
    return self._iv
  end
  return self._running and ops.cipher_tag(self._running.id)
end, function(self)
  return self._aead and SETTABLE_AEAD or SETTABLE
end, function(self, name, value)
  if not self.initialized then
    return nil, "cipher not initalized, call cipher:init first"
  elseif name == "tag" then
    return self:set_aead_tag(value)
  end
  return ops.cipher_padding(self._running.id, value ~= 0)
end)

return _M
