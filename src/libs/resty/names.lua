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

local uuid = { _VERSION = "0.0.7", seed = function() end, generate_v4 = ops.uuid_v4, generate_v5 = ops.uuid_v5 }

function uuid.is_valid(s)
  return require("kong.tools.uuid").is_valid_uuid(s)
end

function uuid.factory_v5(namespace)
  if not uuid.is_valid(namespace) then
    return nil, "namespace must be a valid UUID"
  end
  return function(name)
    return ops.uuid_v5(namespace, name)
  end
end

M["resty.jit-uuid"] = setmetatable(uuid, { __call = ops.uuid_v4, __tostring = ops.uuid_v4 })

return M
