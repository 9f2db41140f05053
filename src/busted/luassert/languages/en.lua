-- The texts of failed assertions.

local say = require("say")

say:set_namespace("en")

-- Two values, shown one under the other.
local function pair(key, positive, negative, passed, expected, suffix)
  suffix = suffix or ""
  say:set("assertion." .. key .. ".positive", positive .. "\n" .. passed .. ":\n%s\n" .. expected .. ":\n%s" .. suffix)
  if negative then
    say:set("assertion." .. key .. ".negative", negative .. "\nPassed in:\n%s\nDid not expect:\n%s" .. suffix)
  end
end

pair("same", "Expected objects to be the same.", "Expected objects to not be the same.", "Passed in", "Expected")
pair("equals", "Expected objects to be equal.", "Expected objects to not be equal.", "Passed in", "Expected")
pair("near", "Expected values to be near.", "Expected values to not be near.", "Passed in", "Expected", " +/- %s")
pair("matches", "Expected strings to match.", "Expected strings not to match.", "Passed in", "Expected")
pair("error", "Expected a different error.", nil, "Caught", "Expected")
say:set("assertion.error.negative", "Expected no error, but caught:\n%s")

say:set("assertion.unique.positive", "Expected object to be unique:\n%s")
say:set("assertion.unique.negative", "Expected object to not be unique:\n%s")

for _, kind in ipairs { "truthy", "falsy" } do
  say:set("assertion." .. kind .. ".positive", "Expected to be " .. kind .. ", but value was:\n%s")
  say:set("assertion." .. kind .. ".negative", "Expected to not be " .. kind .. ", but value was:\n%s")
end

say:set("assertion.called.positive", "Expected to be called %s time(s), but was called %s time(s)")
say:set("assertion.called.negative", "Expected not to be called exactly %s time(s), but it was.")
for key, words in pairs {
  called_at_least = "at least",
  called_at_most = "at most",
  called_more_than = "more than",
  called_less_than = "less than",
} do
  say:set("assertion." .. key .. ".positive",
    "Expected to be called " .. words .. " %s time(s), but was called %s time(s)")
end

say:set("assertion.called_with.positive",
  "Function was never called with matching arguments.\nCalled with (last call if any):\n%s\nExpected:\n%s")
say:set("assertion.called_with.negative",
  "Function was called with matching arguments at least once.\nCalled with (last matching call):\n%s\nDid not expect:\n%s")
say:set("assertion.returned_with.positive",
  "Function never returned matching arguments.\nReturned (last call if any):\n%s\nExpected:\n%s")
say:set("assertion.returned_with.negative",
  "Function returned matching arguments at least once.\nReturned (last matching call):\n%s\nDid not expect:\n%s")

say:set("assertion.returned_arguments.positive", "Expected %s results(s) to be returned, but got %s")
say:set("assertion.returned_arguments.negative", "Expected not %s results(s) to be returned, but got %s")

say:set("assertion.internal.argtolittle", "the '%s' function requires a minimum of %s arguments, got: %s")
say:set("assertion.internal.badargtype", "bad argument #%s to '%s' (%s expected, got %s)")
