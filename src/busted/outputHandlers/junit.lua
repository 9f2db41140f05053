-- JUnit XML, to standard output or, with -Xoutput FILE, to a file.

local base = require("busted.outputHandlers.base")
local busted = require("busted")
local hosts = require("busted.host")
local paths = require("busted.paths")
local xml_text = require("busted.xml_text")

local COUNTERS = { "tests", "errors", "failures", "skip" }

local function seconds(duration)
  return ("%.2f"):format(duration or 0)
end

local function new_counts()
  return { tests = 0, errors = 0, failures = 0, skip = 0 }
end

local function attributes(head, counts, tail)
  local list = head
  for _, counter in ipairs(COUNTERS) do
    list[#list + 1] = { counter, counts[counter] }
  end
  for _, attribute in ipairs(tail) do
    list[#list + 1] = attribute
  end
  return list
end

-- "folder.file_lua:line", as report readers group tests by the last dot.
local function class_name(trace)
  local source = trace.source:gsub("^@", "")
  local directory, file = paths.dirname(source), paths.basename(source):gsub("%.", "_")
  return (directory ~= "" and directory .. "." or "") .. file .. ":" .. trace.currentline
end

local function problem(kind, parent, message, trace)
  local text = kind ~= "skipped" and parent and parent.randomseed
    and "Random seed: " .. parent.randomseed .. "\n" or ""
  text = text .. tostring(message or "") .. (trace and trace.traceback or "")
  return text == "" and { kind } or { kind, text }
end

return function(options)
  local handler = base()
  local started = busted.monotime()
  local totals = new_counts()
  local root = { "testsuites" }
  local suite, case, counts

  function handler.suiteStart(_, run, runs)
    counts = new_counts()
    suite = { "testsuite", run = run, runs = runs, timestamp = os.date("!%Y-%m-%dT%H:%M:%S") }
    root[#root + 1] = suite
    return nil, true
  end

  function handler.suiteEnd(element)
    for _, counter in ipairs(COUNTERS) do
      totals[counter] = totals[counter] + counts[counter]
    end
    suite.attributes = attributes({ { "name", ("Run %d of %d"):format(suite.run, suite.runs) } }, counts,
      { { "timestamp", suite.timestamp }, { "time", seconds(element.duration) } })
    return nil, true
  end

  function handler.testStart()
    case = { "testcase" }
    suite[#suite + 1] = case
    return nil, true
  end

  function handler.testEnd(element, parent, status)
    counts.tests = counts.tests + 1
    case.attributes = {
      { "classname", class_name(element.trace) },
      { "name", handler.getFullName(element) },
      { "time", seconds(element.duration) },
    }
    if status == "pending" then
      counts.skip = counts.skip + 1
      local result = handler.pendings[#handler.pendings]
      case[#case + 1] = problem("skipped", parent, result.message)
    end
    return nil, true
  end

  local function in_test(kind, counter)
    return function(_, parent, message, trace)
      counts[counter] = counts[counter] + 1
      table.insert(case or suite, problem(kind, parent, message, trace))
      return nil, true
    end
  end

  -- Outside tests, and even before the suite has started.
  function handler.error(element, parent, message, trace)
    if element.descriptor ~= "it" then
      local owner = counts or totals
      owner.errors = owner.errors + 1
      table.insert(suite or root, problem("error", parent, message, trace))
    end
    return nil, true
  end

  function handler.exit()
    root.attributes = attributes({}, totals, { { "time", seconds(busted.monotime() - started) } })
    local text = xml_text(root)
    local file = options.arguments and options.arguments[1]
    if not file then
      handler.write(text)
      return nil, true
    end
    local ok, err = hosts.current().write_file(file, text)
    if not ok then
      error("cannot write " .. file .. ": " .. tostring(err), 0)
    end
    return nil, true
  end

  local shown = { predicate = handler.cancelOnPending }
  busted.subscribe({ "exit" }, handler.exit)
  busted.subscribe({ "suite", "start" }, handler.suiteStart)
  busted.subscribe({ "suite", "end" }, handler.suiteEnd)
  busted.subscribe({ "test", "start" }, handler.testStart, shown)
  busted.subscribe({ "test", "end" }, handler.testEnd, shown)
  busted.subscribe({ "error", "it" }, in_test("error", "errors"))
  busted.subscribe({ "failure", "it" }, in_test("failure", "failures"))
  busted.subscribe({ "error" }, handler.error)
  busted.subscribe({ "failure" }, handler.error)
  return handler
end
