-- `assert.array(list).has.no.holes(length)`; a found hole's index is returned.

local assert = require("luassert.assert")
local say = require("say")

local ARRAY = "__array_state"

say:set("assertion.array_holes.positive", "Expected array to have holes, but none were found.\n")
say:set("assertion.array_holes.negative", "Expected array to not have holes, but found a hole at index: %s\n")

local function array(state, arguments)
  assert(arguments and arguments.n > 0, "No array provided to the array-modifier")
  assert(rawget(state, ARRAY) == nil, "Array already set")
  rawset(state, ARRAY, arguments[1])
  return state
end

local function highest_index(list)
  local highest = 0
  for key in pairs(list) do
    if type(key) == "number" and key > highest and key % 1 == 0 then
      highest = key
    end
  end
  return highest
end

local function holes(state, arguments)
  local list = rawget(state, ARRAY)
  assert(list ~= nil, "No array set, please use the array modifier to set the array to validate")
  local length = arguments[1]
  if length == nil then
    length = highest_index(list)
  end
  assert(type(length) == "number", "expected array length to be of type 'number', got: " .. tostring(length))

  local hole
  for i = 1, length do
    if list[i] == nil then
      hole = i
      break
    end
  end
  arguments[1] = hole
  arguments.n = hole and 1 or 0
  return hole ~= nil, { hole }
end

assert:register("modifier", "array", array)
assert:register("assertion", "holes", holes, "assertion.array_holes.positive", "assertion.array_holes.negative")
