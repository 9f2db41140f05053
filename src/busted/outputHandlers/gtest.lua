-- In the style of Google Test: every test with its place and duration.

local base = require("busted.outputHandlers.base")
local busted = require("busted")
local palette = require("busted.palette")
local pretty = require("busted.pretty")

local STATUSES = {
  success = { color = "green", label = "[       OK ]" },
  pending = { color = "yellow", label = "[ SKIPPED  ]", results = "pendings", word = "SKIPPED TEST" },
  failure = { color = "red", label = "[  FAILED  ]", results = "failures", word = "FAILED TEST" },
  error = { color = "magenta", label = "[  ERROR   ]", results = "errors", word = "ERROR" },
}
local PROBLEMS = { "pending", "failure", "error" }

local function plural(count, word)
  if count == 1 then return word end
  return word .. (word:find("%l") and "s" or "S")
end

local function milliseconds(duration)
  return ("%.2f ms"):format((duration or 0) * 1000)
end

local function new_counts()
  return { files = 0, in_file = 0, tests = 0, success = 0, pending = 0, failure = 0, error = 0 }
end

-- The text functions of one run.
local function new_writer(handler, options)
  local colors = palette(options.arguments)
  local writer = {}

  function writer.line(color, label, text)
    handler.write(colors[color](label) .. " " .. text .. "\n")
  end

  function writer.name(element, full_name)
    local trace = element.trace
    local where = trace and trace.short_src
      and colors.cyan(trace.short_src) .. ":" .. colors.cyan(trace.currentline) .. ": " or ""
    return where .. colors.bright(full_name)
  end

  function writer.describe(status, result)
    if status == "pending" then
      local message = result.message
      if message == nil then return "" end
      return (type(message) == "string" and message or pretty.write(message)) .. "\n"
    end
    local text = handler.messageText(result) .. "\n"
    if options.verbose and result.trace and result.trace.traceback then
      text = text .. result.trace.traceback .. "\n"
    end
    return text
  end

  return writer
end

local function write_summary(handler, writer, options, counts)
  writer.line("green", "[  PASSED  ]", ("%d %s."):format(counts.success, plural(counts.success, "test")))
  local footer = {}
  for _, status in ipairs(PROBLEMS) do
    local style, count = STATUSES[status], counts[status]
    if count > 0 then
      local word = status == "error" and "error" or "test"
      writer.line(style.color, style.label, ("%d %s, listed below:"):format(count, plural(count, word)))
      for _, result in ipairs(handler[style.results]) do
        writer.line(style.color, style.label, writer.name(result.element, result.name))
        if options.deferPrint then
          handler.write(writer.describe(status, result))
        end
      end
      footer[#footer + 1] = (" %d %s\n"):format(count, plural(count, style.word))
    end
  end
  if #footer > 0 then
    handler.write("\n" .. table.concat(footer))
  end
end

local function add_suite(handler, writer, options, counts)
  function handler.suiteReset()
    for key in pairs(counts) do counts[key] = 0 end
    return nil, true
  end

  function handler.suiteStart(_, run, runs, seed)
    if runs > 1 then
      handler.write(("\nRepeating all tests (run %u of %u) . . .\n\n"):format(run, runs))
    end
    if seed then
      handler.write(("Note: Randomizing test order with a seed of %u.\n"):format(seed))
    end
    writer.line("green", "[==========]", "Running tests from scanned files.")
    writer.line("green", "[----------]", "Global test environment setup.")
    return nil, true
  end

  function handler.suiteEnd(suite)
    writer.line("green", "[----------]", "Global test environment teardown.")
    writer.line("green", "[==========]", ("%d %s from %d test %s ran. (%s total)"):format(counts.tests,
      plural(counts.tests, "test"), counts.files, plural(counts.files, "file"), milliseconds(suite.duration)))
    write_summary(handler, writer, options, counts)
    return nil, true
  end

  function handler.fileStart(file)
    counts.in_file = 0
    writer.line("green", "[----------]", "Running tests from " .. file.name)
    return nil, true
  end

  function handler.fileEnd(file)
    counts.files = counts.files + 1
    writer.line("green", "[----------]", ("%d %s from %s (%s total)\n"):format(counts.in_file,
      plural(counts.in_file, "test"), file.name, milliseconds(file.duration)))
    return nil, true
  end
end

local function add_tests(handler, writer, options, counts)
  function handler.testStart(element)
    writer.line("green", "[ RUN      ]", writer.name(element, handler.getFullName(element)))
    return nil, true
  end

  function handler.testEnd(element, _, status)
    counts.in_file = counts.in_file + 1
    counts.tests = counts.tests + 1
    counts[status] = counts[status] + 1
    local style = STATUSES[status]
    writer.line(style.color, style.label, ("%s (%s)"):format(
      writer.name(element, handler.getFullName(element)), milliseconds(element.duration)))
    return nil, true
  end

  local function show(status, results)
    if not options.deferPrint then
      handler.write(writer.describe(status, results[#results]))
    end
    return nil, true
  end

  function handler.testFailure()
    return show("failure", handler.failures)
  end

  function handler.testError()
    return show("error", handler.errors)
  end

  function handler.error(element)
    if element.descriptor ~= "it" then
      counts.error = counts.error + 1
      show("error", handler.errors)
    end
    return nil, true
  end
end

return function(options)
  local handler = base()
  local writer = new_writer(handler, options)
  local counts = new_counts()
  add_suite(handler, writer, options, counts)
  add_tests(handler, writer, options, counts)

  local shown = { predicate = handler.cancelOnPending }
  busted.subscribe({ "suite", "reset" }, handler.suiteReset)
  busted.subscribe({ "suite", "start" }, handler.suiteStart)
  busted.subscribe({ "suite", "end" }, handler.suiteEnd)
  busted.subscribe({ "file", "start" }, handler.fileStart)
  busted.subscribe({ "file", "end" }, handler.fileEnd)
  busted.subscribe({ "test", "start" }, handler.testStart, shown)
  busted.subscribe({ "test", "end" }, handler.testEnd, shown)
  busted.subscribe({ "failure", "it" }, handler.testFailure)
  busted.subscribe({ "error", "it" }, handler.testError)
  busted.subscribe({ "failure" }, handler.error)
  busted.subscribe({ "error" }, handler.error)
  return handler
end
