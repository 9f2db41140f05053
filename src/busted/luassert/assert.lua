-- The `assert` object: callable like Lua's own, indexable as a chain of
-- modifiers and assertions (`assert.is_not.equal`).

local say = require("say")
local namespace = require("luassert.namespaces")
local state = require("luassert.state")
local util = require("luassert.util")
local failure = require("luassert.failure")

local unpack = util.unpack

local assert_object = {}
local level_mt = {}

local function failure_text(message_key, custom, arguments)
  if util.hastostring(custom) then
    custom = tostring(custom)
  elseif custom ~= nil then
    custom = state.format_argument(custom)
  end
  local text = message_key and say(message_key, assert_object:format(arguments))
  if text and custom then
    return custom .. "\n" .. text
  end
  return text or custom
end

local function apply_modifiers(self, keys, ...)
  for _, key in ipairs(keys) do
    local modifier = namespace.modifier[key]
    if modifier then
      modifier.callback(self, ...)
    end
  end
end

local chain_mt = {}

function chain_mt.__index(self, key)
  for token in key:lower():gmatch("[^_]+") do
    table.insert(self.tokens, token)
  end
  return self
end

function chain_mt.__call(self, ...)
  local keys = util.extract_keys("assertion", self.tokens)
  local arguments = util.make_arglist(...)

  local assertion
  for _, key in ipairs(keys) do
    assertion = namespace.assertion[key] or assertion
  end
  if not assertion then
    self.tokens = {}
    apply_modifiers(self, keys, arguments, util.errorlevel())
    return self
  end

  -- Put back afterwards, so that `local nope = assert.is_not_nil` can be used twice.
  local expected = self.mod
  apply_modifiers(self, keys)
  local holds, returns = assertion.callback(self, arguments, util.errorlevel())
  local wanted = self.mod
  self.mod = expected

  if (not holds) == wanted then
    local key = wanted and assertion.positive_message or assertion.negative_message
    local text = failure_text(key, rawget(self, "failure_message"), arguments)
    failure.raise(text == nil and "assertion failed!" or text, util.errorlevel())
  end
  if returns then
    return unpack(returns)
  end
  return ...
end

function assert_object.state()
  return setmetatable({ mod = true, tokens = {} }, chain_mt)
end

-- Adds an assertion, modifier or matcher. The callback gets (state, arguments, level).
function assert_object:register(kind, name, callback, positive_message, negative_message)
  name = name:lower()
  namespace[kind] = namespace[kind] or {}
  namespace[kind][name] = {
    callback = callback,
    name = name,
    positive_message = positive_message,
    negative_message = negative_message,
  }
end

function assert_object:unregister(kind, name)
  namespace[kind] = namespace[kind] or {}
  namespace[kind][name:lower()] = nil
end

function assert_object:add_formatter(formatter)
  state.add_formatter(formatter)
end

function assert_object:remove_formatter(formatter)
  state.remove_formatter(formatter)
end

-- Replaces each argument by its text, except those listed in `args.nofmt`;
-- `args.fmtargs[i]` goes to the formatter of the i-th.
function assert_object:format(args)
  local keep = args.nofmt or {}
  local extra = args.fmtargs or {}
  for i = 1, args.n or #args do
    if not keep[i] then
      local value = args[i]
      local text = state.format_argument(value, nil, extra[i])
      args[i] = text == nil and tostring(value) or text
    end
  end
  return args
end

function assert_object:set_parameter(name, value)
  state.set_parameter(name, value)
end

function assert_object:get_parameter(name)
  return state.get_parameter(name)
end

function assert_object:add_spy(spy)
  state.add_spy(spy)
end

function assert_object:snapshot()
  return state.snapshot()
end

-- Wraps an error level for the third argument of a plain `assert(...)`.
function assert_object:level(level)
  return setmetatable({ level = level }, level_mt)
end

function assert_object:get_level(value)
  if getmetatable(value) ~= level_mt then return nil end
  return value.level
end

local object_mt = {}

function object_mt.__call(self, value, message, level, ...)
  if not value then
    failure.raise(message == nil and "assertion failed!" or message, (self:get_level(level) or 1) + 1)
  end
  return value, message, level, ...
end

function object_mt.__index(self, key)
  return self.state()[key]
end

return setmetatable(assert_object, object_mt)
