-- Message catalogue: keys to format strings, one set per language.

local catalogues = {}

local say = { _VERSION = "1.4.1 compatible", _registry = catalogues }

local current, fallback

local function catalogue(namespace)
  local set = catalogues[namespace]
  if not set then
    set = {}
    catalogues[namespace] = set
  end
  return set
end

-- Chooses the language that `set` writes to and lookups read first.
function say:set_namespace(namespace)
  catalogue(namespace)
  current = namespace
end

-- Chooses the language that lookups read when the current one has no such key.
function say:set_fallback(namespace)
  catalogue(namespace)
  fallback = namespace
end

function say:set(key, message)
  catalogue(current)[key] = message
end

local function lookup(_, key, vars)
  if vars ~= nil and type(vars) ~= "table" then
    error("expected parameter table to be a table, got '" .. type(vars) .. "'", 2)
  end

  local message = catalogue(current)[key]
  if message == nil then
    message = catalogue(fallback)[key]
  end
  if message == nil then
    return nil
  end
  message = tostring(message)

  local count = vars and math.max(vars.n or 0, #vars) or 0
  if count == 0 then
    return message
  end
  local strings = {}
  for i = 1, count do
    strings[i] = tostring(vars[i])
  end
  return message:format(unpack(strings, 1, count))
end

say:set_namespace("en")
say:set_fallback("en")

return setmetatable(say, { __call = lookup })
