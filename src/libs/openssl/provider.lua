--- `resty.openssl.provider`: there is the one called "default", and "legacy" for those who ask for it before they read
--- an old PKCS#12 file.

local error, ipairs, setmetatable, tostring, type = error, ipairs, setmetatable, tostring, type

local _M = {}
local mt = { __index = _M }

local UNSUPPORTED = "error:12800067:DSO support routines:dlfcn_load:could not load the shared library:"
  .. "crypto/dso/dso_dlfcn.c:118:"
local NAMES = { default = "OpenSSL Default Provider", legacy = "OpenSSL Legacy Provider" }
local PARAMS = { name = true, version = "3.2.3", buildinfo = "3.2.3", status = 1 }

local loaded = { default = 1, legacy = 0 }

--- Whether a provider is loaded.
function _M.is_available(name)
  return (loaded[name] or 0) > 0
end

--- A provider by name.
function _M.load(name)
  if not loaded[name] then
    return nil, "provider.load: " .. UNSUPPORTED
  end
  loaded[name] = loaded[name] + 1
  return setmetatable({ ctx = name, param_types = {} }, mt)
end

function _M.istype(v)
  return type(v) == "table" and NAMES[v.ctx] ~= nil and v.param_types ~= nil
end

--- Where providers would be looked for.
function _M.set_default_search_path()
  return true
end

--- Takes it back: once for each time that it was loaded.
function _M:unload()
  loaded[self.ctx] = loaded[self.ctx] - 1
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
    got[name] = name == "name" and NAMES[self.ctx] or PARAMS[name]
  end
  return #names == 1 and got[names[1]] or got
end

for _, name in ipairs({ "get_default_search_path", "settable_params", "set_params" }) do
  _M[name] = function()
    error("not supported: resty.openssl.provider." .. name, 2)
  end
end

return _M
