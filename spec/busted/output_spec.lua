local nested = require("busted.fixtures").load("nested")

local SOURCE = [[
describe("block", function()
  it("passes", function() end)
  it("fails", function()
    assert.same({ a = { b = 1 }, c = 2 }, { a = { b = 3 }, c = 2 })
  end)
  it("errs <&\"", function() error("boom") end)
  pending("waits")
end)
]]

local function output(name, ...)
  return nested(SOURCE, { "-o", name, ... }).out
end

describe("A14 output", function()
  it("A14 plainTerminal: marks, summary, places and differences", function()
    local out = output("plainTerminal"):gsub("table: 0x%x+", "table: 0x")
    assert.match("^%+%-%*%.\n1 success / 1 failure / 1 error / 1 pending : [%d.]+ seconds\n", out)
    assert.match("\nPending %-> spec/one_spec.lua @ 7\nblock waits\n", out)
    assert.truthy(out:find([[

Failure -> spec/one_spec.lua @ 3
block fails
spec/one_spec.lua:4: Expected objects to be the same.
Passed in:
(table: 0x) {
 *[a] = {
   *[b] = 3 }
  [c] = 2 }
Expected:
(table: 0x) {
 *[a] = {
   *[b] = 1 }
  [c] = 2 }
]], 1, true), out)
    assert.match('\nError %-> spec/one_spec.lua @ 6\nblock errs <&"\nspec/one_spec.lua:6: boom\n', out)
    assert.is_nil(out:find("stack traceback", 1, true))
  end)

  it("A14 shows tracebacks that end at the spec with -v", function()
    local out = output("plainTerminal", "-v")
    assert.match("stack traceback:\n\tspec/one_spec.lua:4: in function <spec/one_spec.lua:3>\n", out)
    assert.is_nil(out:find("moongate/", 1, true))
  end)

  it("A14 is silent until the end with --defer-print", function()
    assert.match("^\n1 success / 1 failure", output("plainTerminal", "--defer-print"))
  end)

  it("A14 utfTerminal: colours on request", function()
    local plain = output("utfTerminal")
    assert.match("^●◼✱◌\n", plain)
    assert.match("Failure → spec/one_spec.lua @ 3", plain)
    local colored = output("utfTerminal", "-Xoutput", "--color")
    assert.truthy(colored:find("\27[32m●\27[0m", 1, true))
    assert.truthy(colored:find("\27[31m*\27[0m[a] = ", 1, true))
    assert.equal("none", assert:get_parameter("TableErrorHighlightColor"))
  end)

  it("A14 TAP", function()
    local out = output("TAP")
    assert.match("^ok 1 %- block passes\nnot ok 2 %- block fails\n# spec/one_spec.lua @ 3\n"
      .. "# Failure message: spec/one_spec.lua:4: Expected objects to be the same.\n# Passed in:\n", out)
    assert.match('not ok 3 %- block errs <&"\n# spec/one_spec.lua @ 6\n# Failure message: spec/one_spec.lua:6: boom\n', out)
    assert.match("ok 4 %- # SKIP block waits\n1..4\n$", out)
    local verbose = output("TAP", "--verbose")
    assert.match("# spec/one_spec.lua @ 2: block passes\nok 1", verbose)
    assert.match("# stack traceback:\n# \tspec/one_spec.lua:6: in function", verbose)
  end)

  it("A14 gtest", function()
    local out = output("gtest")
    assert.truthy(out:find("[==========] Running tests from scanned files.", 1, true))
    assert.truthy(out:find("[ RUN      ] spec/one_spec.lua:2: block passes\n", 1, true))
    assert.match("%[       OK %] spec/one_spec.lua:2: block passes %([%d.]+ ms%)\n", out)
    assert.match("%[  FAILED  %] spec/one_spec.lua:3: block fails %([%d.]+ ms%)\n", out)
    assert.match("%[==========%] 4 tests from 1 test file ran. %([%d.]+ ms total%)", out)
    assert.truthy(out:find("[  PASSED  ] 1 test.\n[ SKIPPED  ] 1 test, listed below:\n", 1, true))
    assert.truthy(out:find("\n 1 SKIPPED TEST\n 1 FAILED TEST\n 1 ERROR\n", 1, true))
  end)

  it("A14 json", function()
    local out = output("json")
    assert.match('^{"duration":', out)
    assert.match('"name":"block passes"', out)
    assert.truthy(out:find([["message":"spec/one_spec.lua:6: boom"]], 1, true))
    assert.truthy(out:find([["name":"block errs <&\""]], 1, true))
    local cjson_found, cjson = pcall(require, "cjson")
    if cjson_found then
      local decoded = cjson.decode(out)
      assert.equal(1, #decoded.failures)
      assert.equal(1, #decoded.errors)
      assert.equal("block waits", decoded.pendings[1].name)
    end
  end)

  it("A14 junit, to the output or to a file", function()
    local out = output("junit"):gsub(' time="[^"]*"', ""):gsub(' timestamp="[^"]*"', "")
    assert.truthy(out:find('<?xml version="1.0" encoding="UTF-8"?>\n'
      .. '<testsuites tests="4" errors="1" failures="1" skip="1">\n'
      .. '\t<testsuite name="Run 1 of 1" tests="4" errors="1" failures="1" skip="1">\n'
      .. '\t\t<testcase classname="spec.one_spec_lua:2" name="block passes"/>\n'
      .. '\t\t<testcase classname="spec.one_spec_lua:3" name="block fails">\n'
      .. "\t\t\t<failure>spec/one_spec.lua:4: Expected objects to be the same.\nPassed in:\n", 1, true), out)
    assert.truthy(out:find('name="block errs &lt;&amp;&quot;">\n\t\t\t<error>spec/one_spec.lua:6: boom', 1, true))
    assert.truthy(out:find("<skipped/>", 1, true))

    local result = nested(SOURCE, { "-o", "junit", "-Xoutput", "report.xml" })
    assert.equal("", result.out)
    assert.match("^<%?xml .*</testsuites>\n$", result.files["report.xml"])
  end)

  it("A14 counts errors outside tests in every format", function()
    local source = "describe('d', function() teardown(function() error('late') end) it('x', function() end) end)"
    assert.match("1 success / 0 failures / 1 error", nested(source, { "-o", "plainTerminal" }).out)
    assert.match("not ok 2 %- d teardown", nested(source, { "-o", "TAP" }).out)
    assert.match('errors="1" failures="0"', nested(source, { "-o", "junit" }).out)
    assert.match("%[  ERROR   %] 1 error, listed below:", nested(source, { "-o", "gtest" }).out)
    assert.match('"errors":%[{', nested(source, { "-o", "json" }).out)
  end)

  it("A14 takes a handler from a file, and falls back when there is none", function()
    local result = nested({
      ["mine.lua"] = [[
        local busted = require "busted"
        return function(options)
          local handler = require "busted.outputHandlers.base"()
          busted.subscribe({ "suite", "end" }, function()
            handler.write(handler.successesCount .. " with " .. options.arguments[1])
            return nil, true
          end)
          return handler
        end
      ]],
      ["spec/one_spec.lua"] = "it('x', function() end)",
    }, { "-o", "mine.lua", "-Xoutput", "style" })
    assert.equal("1 with style", result.out)
    result = nested("it('x', function() end)", { "--output=nowhere" })
    assert.equal(1, result.code)
    assert.match("Cannot load output library: nowhere", result.err)
    assert.match("1 success", result.out)
  end)
end)
