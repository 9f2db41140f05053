-- Mocks: every function of a table, recursively, becomes a spy or a stub.

local spy = require("luassert.spy")
local stub = require("luassert.stub")

local mock = {}

-- mock.new(object [, as_stubs [, answer]])
function mock.new(object, as_stubs, answer, owner, owner_key)
  local seen = {}

  local function replace(value, parent, key)
    if type(value) == "function" then
      if as_stubs then
        return stub(parent, key, answer)
      elseif parent == nil then
        return spy.new(value)
      end
      return spy.on(parent, key)
    elseif type(value) ~= "table" or spy.is_spy(value) or seen[value] then
      return value
    end
    seen[value] = true
    for k, v in pairs(value) do
      value[k] = replace(v, value, k)
    end
    return value
  end

  return replace(object, owner, owner_key)
end

local function each_spy(object, method)
  local seen = {}
  local function visit(value)
    if type(value) ~= "table" or seen[value] then return end
    seen[value] = true
    if spy.is_spy(value) then
      return value[method](value)
    end
    for _, v in pairs(value) do
      visit(v)
    end
    return value
  end
  return visit(object)
end

function mock.clear(object)
  return each_spy(object, "clear")
end

function mock.revert(object)
  return each_spy(object, "revert")
end

return setmetatable(mock, {
  __call = function(_, ...)
    return mock.new(...)
  end,
})
