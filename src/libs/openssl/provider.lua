--- `resty.openssl.provider`: there is the one called "default", and no other.

local error, ipairs, setmetatable, tostring, type = error, ipairs, setmetatable, tostring, type

local _M = {}
local mt = { __index = _M }

local UNSUPPORTED = "error:12800067:DSO support routines:dlfcn_load:could not load the shared library:"
  .. "crypto/dso/dso_dlfcn.c:118:"
local PARAMS = { name = "OpenSSL Default Provider", version = "3.2.3", buildinfo = "3.2.3", status = 1 }

--- Whether a provider is loaded.
function _M.is_available(name)
  return name == "default"
end

--- A provider by name.
function _M.load(name)
  if name ~= "default" then
    return nil, "provider.load: " .. UNSUPPORTED
  end
  return setmetatable({ ctx = name, param_types = {} }, mt)
end

function _M.istype(v)
  return type(v) == "table" and v.ctx == "default" and v.param_types ~= nil
end

--- Where providers would be looked for.
function _M.set_default_search_path()
  return true
end

function _M.unload()
  return true
end

function _M.self_test()
  return true
end

--- What the provider says of itself: one value, or a table of several.
function _M:get_params(...)
  local names, got = { ... }, {}
  if #names == 0 then
    return nil, "provider:get_params: at least one key is required"
  end
  for _, name in ipairs(names) do
    if PARAMS[name] == nil then
      return nil, "provider:get_params: unknown key \"" .. tostring(name) .. "\""
    end
    got[name] = PARAMS[name]
  end
  return #names == 1 and got[names[1]] or got
end

for _, name in ipairs({ "get_default_search_path", "settable_params", "set_params" }) do
  _M[name] = function()
    error("not supported: resty.openssl.provider." .. name, 2)
  end
end

return _M
