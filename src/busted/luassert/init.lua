-- Assertions for specs: loads the `assert` object and everything registered on it.

local assert = require("luassert.assert")

assert._VERSION = "Luassert 1.9.0"
assert._DESCRIPTION = "Assertions, spies, stubs, mocks and matchers for specs."

require("luassert.languages.en")
require("luassert.assertions")
require("luassert.modifiers")
require("luassert.array")
require("luassert.spy")
require("luassert.stub")
require("luassert.matchers")
require("luassert.formatters")

return assert
