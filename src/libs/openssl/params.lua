--- OpenSSL's parameters of ciphers, MACs, key derivations and keys, by its names and in its words: what a context has,
--- what may be set, and either.

local bn = require "resty.openssl.bn"

local ipairs, pairs, type = ipairs, pairs, type

-- OSSL_PARAM's types, and how lua-resty-openssl reads them out
local INTEGER, UNSIGNED, UTF8, OCTETS = 1, 2, 4, 5
local WORDS = {
  [INTEGER] = "integer",
  [UNSIGNED] = "unsigned integer",
  [UTF8] = "UTF8 encoded string",
  [OCTETS] = "octet string",
}

local _M = { INTEGER = INTEGER, UNSIGNED = UNSIGNED, UTF8 = UTF8, OCTETS = OCTETS }

local function readable(all)
  local out = {}
  for i, p in ipairs(all) do
    local size = p[3] and (" (max %d bytes large)"):format(p[3]) or " (arbitrary size)"
    out[i] = { p[1], WORDS[p[2]] .. size }
  end
  return out
end

local function types(all)
  local out = {}
  for _, p in ipairs(all) do
    out[p[1]] = out[p[1]] or p[2]
  end
  return out
end

-- whether a value is of one of the types that a parameter has
local function fits(all, name, value)
  local kind, known = type(value), false
  for _, p in ipairs(all) do
    if p[1] == name then
      known = true
      if kind == "string" or kind == "number" and p[2] <= UNSIGNED then
        return true
      end
    end
  end
  return false, known
end

--- Gives `module` the four functions. `gettable(self)` and `settable(self)` are lists of name, type and size;
--- `get(self, name)` is a value (a number, a string or a `bn`) or nil and why, `set(self, name, value)` true or nil
--- and why.
function _M.install(module, label, gettable, get, settable, set)
  --- What can be asked for: names and types.
  function module:gettable_params(raw)
    return raw and types(gettable(self)) or readable(gettable(self))
  end

  --- What can be set.
  function module:settable_params(raw)
    return raw and types(settable(self)) or readable(settable(self))
  end

  --- A parameter's value; `size` of a string's bytes, `kind` "bn" for a `bn`.
  function module:get_param(name, size, kind)
    local wanted = types(gettable(self))[name]
    if not wanted then
      return nil, ("%s:get_param: unknown key \"%s\""):format(label, name)
    end
    local value, err = get(self, name)
    if value == nil then
      return nil, err and ("%s:get_param:get: %s"):format(label, err) or nil
    end
    if kind == "bn" then
      return type(value) == "number" and bn.new(value) or type(value) == "string" and bn.from_binary(value) or value
    elseif bn.istype(value) then
      -- the library's own numbers have 32 bits
      return nil, label .. ":get_param:get failed"
    end
    return type(value) == "string" and size and value:sub(1, size) or value
  end

  --- Sets parameters.
  function module:set_params(params)
    local all = settable(self)
    for name, value in pairs(params) do
      local ok, known = fits(all, name, value)
      if not known and not ok then
        return false, ("%s:set_params: param:construct: unknown key \"%s\""):format(label, name)
      elseif not ok then
        return false, ("%s:set_params: param:construct: key \"%s\" can't be a %s"):format(label, name, type(value))
      end
    end
    for name, value in pairs(params) do
      local ok, err = set(self, name, value)
      if not ok then
        return false, ("%s:set_params: %s"):format(label, err or "failed")
      end
    end
    return true
  end
end

return _M
