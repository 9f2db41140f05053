-- Small OpenResty modules: `resty.string`, `resty.random`, `ngx.base64`, `resty.jit-uuid`, `resty.core.*`.

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
  _VERSION = "0.1.29",
  encode_base64 = ops.base64,
  encode_base64url = ops.base64url,
  decode_base64 = ops.unbase64,
  decode_base64url = ops.unbase64url,
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

M["resty.core"] = { version = "0.1.29" }

local running = require "moongate.running"

M["resty.core.base"] = {
  version = "0.1.29",
  FFI_OK = 0, FFI_NO_REQ_CTX = -100, FFI_BAD_CONTEXT = -101, FFI_ERROR = -1, FFI_DECLINED = -5,
  new_tab = require "table.new",
  clear_tab = require "table.clear",
  -- Something in a request, nil outside.
  get_request = function()
    local slot = running[1]
    return slot > 0 and slot or nil
  end,
}

M["resty.core.utils"] = {
  version = "0.1.29",
  str_replace_char = function(str, find, replace)
    return (str:gsub("%" .. find, replace == "%" and "%%" or replace))
  end,
}

M["resty.core.time"] = {
  version = "0.1.29",
  monotonic_msec = ops.monotonic_ms,
  monotonic_time = function()
    return ops.monotonic_ms() / 1000
  end,
}

-- In OpenResty these put their functions into `ngx`, where they are here from the start.
for _, name in ipairs {
  "regex", "uri", "hash", "base64", "exit", "misc", "request", "response", "var", "worker", "ctx", "phase",
  "shdict", "ndk",
} do
  M["resty.core." .. name] = { version = "0.1.29" }
end

return M
