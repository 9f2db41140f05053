-- Small OpenResty modules: `resty.string`, `resty.random`, `ngx.base64`, `resty.jit-uuid`.

local ops = require("moongate.ops").libs

local M = {}

M["resty.string"] = {
  _VERSION = "0.15",
  to_hex = ops.hex,
  atoi = function(s)
    return math.floor(tonumber(s:match("^%s*[+-]?%d+")) or 0)
  end,
}

M["resty.random"] = {
  _VERSION = "0.15",
  bytes = function(len)
    return ops.random_bytes(len)
  end,
}

M["ngx.base64"] = {
  version = "0.1.31",
  _VERSION = "0.1.31",
  encode_base64 = ops.base64,
  decode_base64 = ops.unbase64,
  encode_base64url = function(s)
    if type(s) ~= "string" then
      return nil, "must provide a string"
    end
    return ops.base64url(s)
  end,
  decode_base64url = function(s)
    if type(s) ~= "string" then
      return nil, "must provide a string"
    end
    return ops.unbase64url((s:match("^[^=]*")))
  end,
}

local uuid = { _VERSION = "0.0.7", seed = function() end, generate_v4 = ops.uuid_v4 }

function uuid.is_valid(s)
  return require("kong.tools.uuid").is_valid_uuid(s)
end

-- version 3: the digest is MD5
local function uuid_v3(namespace, name)
  local bytes = namespace:gsub("-", ""):gsub("%x%x", function(pair)
    return string.char(tonumber(pair, 16))
  end)
  local hex = ngx.md5(bytes .. name)
  local variant = bit.bor(bit.band(tonumber(hex:sub(17, 18), 16), 0x3f), 0x80)
  return ("%s-%s-3%s-%02x%s-%s"):format(hex:sub(1, 8), hex:sub(9, 12), hex:sub(14, 16), variant, hex:sub(19, 20),
    hex:sub(21, 32))
end

local function factory(make)
  return function(namespace)
    if not uuid.is_valid(namespace) then
      return nil, "namespace must be a valid UUID"
    end
    return function(name)
      if type(name) ~= "string" then
        return nil, "name must be a string"
      end
      return make(namespace, name)
    end
  end
end

uuid.factory_v3, uuid.factory_v5 = factory(uuid_v3), factory(ops.uuid_v5)

function uuid.generate_v3(namespace, name)
  local make, err = uuid.factory_v3(namespace)
  if not make then
    return nil, err
  end
  return make(name)
end

function uuid.generate_v5(namespace, name)
  local make, err = uuid.factory_v5(namespace)
  if not make then
    return nil, err
  end
  return make(name)
end

M["resty.jit-uuid"] = setmetatable(uuid, { __call = ops.uuid_v4, __tostring = ops.uuid_v4 })

return M
