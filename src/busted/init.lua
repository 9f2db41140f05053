-- `require "busted"`: what helpers and output handlers may use of the running suite.
-- The runner makes a core current by calling the module with it.

local assert = require("luassert")
local failure = require("luassert.failure")
local match = require("luassert.match")
local mock = require("luassert.mock")
local spy = require("luassert.spy")
local stub = require("luassert.stub")
local register_elements = require("busted.elements")

local cores = {}

local function begin(core)
  failure.as_object = true
  cores[#cores + 1] = core
  register_elements(core)

  for name, value in pairs { assert = assert, spy = spy, mock = mock, stub = stub, match = match } do
    core.export(name, value)
  end
  for _, name in ipairs {
    "publish", "subscribe", "unsubscribe", "bindfenv", "fail", "gettime", "monotime", "sleep", "version",
  } do
    core.exportApi(name, core[name])
  end
  core.exportApi("parent", core.context.parent)
  core.exportApi("children", core.context.children)
end

local function finish()
  cores[#cores] = nil
  failure.as_object = #cores > 0
end

return setmetatable({}, {
  __call = function(self, core)
    begin(core)
    return self, finish
  end,
  __index = function(_, key)
    local core = cores[#cores]
    return core and core.api[key]
  end,
  __newindex = function()
    error("Attempt to modify busted", 2)
  end,
})
