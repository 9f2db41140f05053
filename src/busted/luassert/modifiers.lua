-- The words between `assert` and the assertion.

local assert = require("luassert.assert")

local function keep(state)
  return state
end

local function negate(state)
  state.mod = not state.mod
  return state
end

for _, word in ipairs { "a", "an", "the", "is", "are", "was", "has", "does" } do
  assert:register("modifier", word, keep)
end
assert:register("modifier", "not", negate)
assert:register("modifier", "no", negate)
