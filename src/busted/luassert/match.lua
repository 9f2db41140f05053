-- Matchers: values that stand for "any value such that", made by `match.is_string()`.

local namespace = require("luassert.namespaces")
local util = require("luassert.util")

local match = {}

local matcher_mt = {
  __call = function(self, value)
    return self.callback(value) == self.mod
  end,
}

local chain_mt = {}

function chain_mt.__index(self, key)
  for token in key:lower():gmatch("[^_]+") do
    table.insert(self.tokens, token)
  end
  return self
end

local function apply_modifiers(self, keys, ...)
  for _, key in ipairs(keys) do
    local modifier = namespace.modifier[key]
    if modifier then
      modifier.callback(self, ...)
    end
  end
end

function chain_mt.__call(self, ...)
  local keys = util.extract_keys("matcher", self.tokens)
  local arguments = util.make_arglist(...)
  self.tokens = {}

  local matcher
  for _, key in ipairs(keys) do
    matcher = namespace.matcher[key] or matcher
  end
  if not matcher then
    apply_modifiers(self, keys, arguments, util.errorlevel())
    return self
  end
  apply_modifiers(self, keys)
  return setmetatable({
    name = matcher.name,
    mod = self.mod,
    callback = matcher.callback(self, arguments, util.errorlevel()),
    arguments = arguments,
  }, matcher_mt)
end

-- Matches anything, nil included.
match._ = setmetatable({
  name = "_",
  mod = true,
  callback = function() return true end,
  arguments = { n = 0 },
}, matcher_mt)

function match.state()
  return setmetatable({ mod = true, tokens = {} }, chain_mt)
end

function match.is_matcher(value)
  return type(value) == "table" and getmetatable(value) == matcher_mt
end

-- A `ref_to` matcher looks at the original argument, not at the copy kept of it.
function match.is_ref_matcher(value)
  return match.is_matcher(value) and value.name == "ref"
end

return setmetatable(match, {
  __index = function(_, key)
    return match.state()[key]
  end,
})
