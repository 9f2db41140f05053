local nested = require("busted.fixtures").load("nested")

local TAGGED = [[
  describe("block #slow", function()
    it("one #db", function() end)
    it("two", function() end)
  end)
  describe("other", function()
    it("three #db", function() end)
    it("four", function() end)
    pending("five")
  end)
]]

-- The names of the tests that ran under TAP, one per line.
local function ran(source, ...)
  local result = nested(source, { "-o", "TAP", ... })
  local names = {}
  for name in result.out:gmatch("ok %d+ %- ([^\n]+)") do
    names[#names + 1] = name
  end
  return names, result
end

describe("A14 choosing tests", function()
  it("A14 by tags", function()
    assert.same({ "block #slow one #db", "block #slow two", "other three #db" }, ran(TAGGED, "--tags=slow,db"))
    assert.same({ "block #slow one #db", "other three #db" }, ran(TAGGED, "-t", "db"))
    assert.same({ "other three #db", "other four", "# SKIP other five" }, { unpack((ran(TAGGED, "--exclude-tags=slow")), 1, 3) })
    assert.same({ "other three #db" }, ran(TAGGED, "--tags=db", "--exclude-tags=slow"))
    local _, result = ran(TAGGED, "--tags=db", "--exclude-tags", "db")
    assert.equal(1, result.code)
    assert.match("Cannot use %-%-tags and %-%-exclude%-tags for the same tags", result.err)
  end)

  it("A14 by name patterns", function()
    assert.same({ "block #slow two" }, ran(TAGGED, "--filter=two"))
    assert.same({ "block #slow two", "other four" }, ran(TAGGED, "--filter", "two$", "--filter", "fo%w+$"))
    assert.same({ "other three #db", "other four" }, ran(TAGGED, "--filter-out=block", "--filter-out=five"))
    assert.same({ "other four" }, ran(TAGGED, "--name=other four"))
  end)

  it("A14 by a file of names, which successes can be added to", function()
    local files = { ["spec/one_spec.lua"] = TAGGED, ["done.txt"] = "other four\n" }
    local args = { "-o", "TAP", "--exclude-names-file=done.txt", "--log-success=done.txt" }
    local first = nested(files, args)
    assert.match("1..4", first.out)
    assert.equal("other four\nblock #slow one #db\nblock #slow two\nother three #db\n", files["done.txt"])
    assert.match("1..1\n", nested(files, args).out)
  end)

  it("A14 by file pattern and folder", function()
    local files = {
      ["spec/a_spec.lua"] = "it('a', function() end)",
      ["spec/b_test.lua"] = "it('b', function() end)",
      ["spec/deep/c_spec.lua"] = "it('c', function() end)",
      ["spec/.hidden/d_spec.lua"] = "it('d', function() end)",
      ["tests/e_spec.lua"] = "it('e', function() end)",
    }
    assert.same({ "a", "c" }, ran(files))
    assert.same({ "a" }, ran(files, "--no-recursive"))
    assert.same({ "b" }, ran(files, "-p", "_test"))
    assert.same({ "b", "a" }, ran(files, "spec/b_test.lua", "spec/a_spec.lua"))
    assert.same({ "e" }, ran(files, "tests"))
    assert.same({ "c" }, ran(files, "--exclude-pattern=^a"))
    local _, result = ran(files, "--pattern=nothing")
    assert.equal(1, result.code)
    assert.match("No test files found matching Lua pattern: nothing", result.out)
    _, result = ran(files, "nowhere")
    assert.match("Cannot find file or directory: nowhere", result.out)
  end)
end)

describe("A14 running", function()
  it("A14 lists names without running", function()
    local result = nested([[
      setup(function() error("not run") end)
      describe("d", function()
        it("x", function() error("not run") end)
      end)
    ]], { "--list" })
    assert.equal("spec/one_spec.lua:3: d x\n", result.out)
    assert.equal(0, result.code)
  end)

  it("A14 repeats", function()
    local result = nested("it('x', function() end)", { "-o", "plainTerminal", "--repeat=3" })
    assert.match("run 2 of 3", result.out)
    assert.equal(3, select(2, result.out:gsub("1 success /", "")))
  end)

  it("A14 shuffles by seed and sorts", function()
    local lines = {}
    for i = 1, 20 do
      lines[i] = ("it('t%02d', function() end)"):format(21 - i)
    end
    local source = table.concat(lines, "\n")
    local plain, first, again, other = ran(source), ran(source, "--shuffle", "--seed=7"),
      ran(source, "--shuffle", "--seed=7"), ran(source, "--shuffle-tests", "--seed=8")
    assert.same(first, again)
    assert.not_same(plain, first)
    assert.not_same(first, other)
    table.sort(plain)
    assert.same(plain, ran(source, "--sort"))
    assert.same(plain, ran(source, "--sort-tests"))
    assert.not_same(plain, ran("randomize(12)\n" .. source))
  end)

  it("A14 shows the seed with a failure of a shuffled block", function()
    local _, result = ran("randomize(12) it('x', function() assert(false) end)")
    assert.match("Random seed: 12", result.out)
  end)

  it("A14 stops at the first problem with --no-keep-going", function()
    local source = [[
      it("a", function() end)
      it("b", function() assert(false) end)
      it("c", function() end)
    ]]
    assert.same({ "a", "b", "c" }, ran(source))
    assert.same({ "a", "b" }, ran(source, "--no-keep-going"))
  end)

  it("A14 hides pending tests with --suppress-pending", function()
    assert.equal(5, #ran(TAGGED))
    assert.equal(4, #ran(TAGGED, "--suppress-pending"))
  end)

  it("A14 runs statements and finds modules on --lpath", function()
    local result = nested("it('x', function() assert.equal(5, a14_value) end)", { "-o", "TAP", "-e", "_G.a14_value = 5" })
    _G.a14_value = nil
    assert.equal(0, result.code)
    local path = package.path
    result = nested("it('x', function() assert.equal(1, package.path:find('./a14/?.lua;', 1, true)) end)",
      { "-o", "TAP", "--lpath=./a14/?.lua", "--cpath=./a14/?.so" })
    assert.equal(0, result.code, result.out)
    assert.equal(path, package.path)
  end)
end)

describe("A14 helper", function()
  local helper = [[
    local busted = require "busted"
    local mode = arg[1]
    busted.subscribe({ "file", "start" }, function(file) HELPED = mode .. ":" .. arg[2] return nil, true end)
    return function(_, path, options) HELPER_PATH = path return true end
  ]]

  it("A14 runs before the tests, with its arguments", function()
    local result = nested({
      ["help.lua"] = helper:gsub("arg%[2%]", "'late'"),
      ["spec/one_spec.lua"] = "it('x', function() assert.equal('fast:late', HELPED) assert.equal('help.lua', HELPER_PATH) end)",
    }, { "-o", "TAP", "--helper=help.lua", "-Xhelper", "fast,second" })
    _G.HELPED, _G.HELPER_PATH = nil, nil
    assert.equal(0, result.code, result.out .. result.err)
  end)

  it("A14 may add support functions to the whole suite", function()
    local result = nested({
      ["help.lua"] = "require('busted').before_each(function() _G.before_all = (_G.before_all or 0) + 1 end)",
      ["spec/one_spec.lua"] = "it('x', function() assert.equal(1, before_all) end)",
    }, { "-o", "TAP", "--helper=help.lua" })
    assert.equal(0, result.code, result.out)
  end)

  it("A14 ends the run when it cannot be loaded", function()
    local result = nested("it('x', function() end)", { "--helper=nowhere.lua" })
    assert.equal(1, result.code)
    assert.equal("busted: failed running the specified helper (nowhere.lua), "
      .. "error: cannot open nowhere.lua: No such file or directory\n", result.err)
    result = nested({ ["spec/one_spec.lua"] = "", ["h.lua"] = "error('bad helper')" }, { "--helper=h.lua" })
    assert.match("h.lua:1: bad helper", result.err)
  end)
end)

describe("A14 configuration", function()
  local function configured(config, ...)
    return ran({
      [".busted"] = config,
      ["sub/.busted"] = "return { default = { tags = 'two' } }",
      ["sub/spec/two_spec.lua"] = "it('sub #two', function() end) it('not', function() end)",
      ["other.busted"] = "return { default = { filter = 'three' } }",
      ["spec/one_spec.lua"] = "it('one #one', function() end) it('two #two', function() end) it('three', function() end)",
    }, ...)
  end
  local TASKS = "return { _all = { output = 'TAP' }, default = { tags = { 'one' } }, special = { tags = 'two' } }"

  it("A14 takes tasks from .busted, with _all under them and the command line over them", function()
    assert.same({ "one #one" }, configured(TASKS))
    assert.same({ "two #two" }, configured(TASKS, "--run=special"))
    assert.same({ "two #two" }, configured(TASKS, "-r", "special"))
    assert.same({ "two #two" }, configured(TASKS, "--tags=two"))
    local _, result = configured(TASKS, "--run=missing")
    assert.equal("busted: error: Task `missing` not found, or not a table.\n", result.err)
  end)

  it("A14 takes another file with -f and another folder with -C", function()
    assert.same({ "three" }, configured(TASKS, "-f", "other.busted"))
    assert.same({ "sub #two" }, configured(TASKS, "-C", "sub"))
    local _, result = configured(TASKS, "--config-file=missing")
    assert.match("specified config file 'missing' not found", result.err)
    _, result = configured(TASKS, "--directory=missing")
    assert.equal(1, result.code)
  end)

  it("A14 names what is wrong in the file", function()
    local _, result = configured("return {")
    assert.match("failed loading config file `.busted`: .busted:1:", result.err)
    _, result = configured("local a = nope.x return {}")
    assert.match("%.busted:1: attempt to index global 'nope'", result.err)
    _, result = configured("return 5")
    assert.equal("busted: error: .busted file does not return a table.\n", result.err)
    assert.equal(1, result.code)
  end)
end)

describe("A14 command line", function()
  it("A14 refuses what it does not know", function()
    local result = nested("", { "--nonsense" })
    assert.equal(1, result.code)
    assert.equal("busted: error: unknown option --nonsense; re-run with --help for usage.\n", result.err)
    assert.match("argument to %-%-repeat must be a number", nested("", { "--repeat=x" }).err)
    assert.match("option %-%-tags requires a value", nested("", { "--tags" }).err)
    assert.match("not supported: %-%-lang=xx", nested("", { "--lang=xx" }).err)
  end)

  it("A14 prints help and version", function()
    assert.match("^Usage: busted", nested("", { "--help" }).out)
    assert.match("%-%-exclude%-tags", nested("", { "--help" }).out)
    assert.equal("2.3.0\n", nested("", { "--version" }).out)
  end)

  it("A14 is the global arg of the specs", function()
    local result = nested("it('x', function() assert.same({ '-o', 'TAP', '-c' }, { unpack(arg) }) end)", { "-o", "TAP", "-c" })
    assert.equal(0, result.code, result.out)
  end)

  it("A14 reads short flags together and stops at --", function()
    assert.equal("spec/one_spec.lua:1: d x\n",
      nested("describe('d', function() it('x', function() end) end)", { "-cvl" }).out)
    assert.equal("ok 1 - x\n1..1\n", nested({ ["-odd_spec.lua"] = "it('x', function() end)" },
      { "-oTAP", "--", "-odd_spec.lua" }).out)
  end)
end)
