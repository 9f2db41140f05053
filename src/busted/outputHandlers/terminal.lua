-- The summary for people, in the style that utfTerminal and plainTerminal choose:
-- colors, arrow, and one mark per outcome.

local base = require("busted.outputHandlers.base")
local busted = require("busted")
local pretty = require("busted.pretty")
local say = require("say")

local function place(style, trace)
  return style.colors.cyan(trace.short_src) .. " @ " .. style.colors.cyan(trace.currentline)
end

local function describe_pending(style, result)
  local colors = style.colors
  local text = colors.yellow(say("output.pending")) .. style.arrow .. place(style, result.trace)
    .. "\n" .. colors.bright(result.name)
  if result.message ~= nil then
    local message = result.message
    text = text .. "\n" .. (type(message) == "string" and message or pretty.write(message))
  end
  return text
end

local function describe_failure(style, handler, result)
  local colors = style.colors
  local head = result.isError and colors.magenta(say("output.error")) or colors.red(say("output.failure"))
  local text = head .. style.arrow
  local trace = result.element.trace
  if trace and trace.short_src then
    text = text .. place(style, trace) .. "\n" .. colors.bright(result.name) .. "\n" .. handler.messageText(result)
  else
    text = text .. colors.cyan(handler.messageText(result)) .. "\n" .. colors.bright(result.name)
  end
  if handler.options.verbose and result.trace and result.trace.traceback then
    text = text .. "\n" .. result.trace.traceback
  end
  return text
end

local function counted(count, word)
  local form = count == 0 and "_zero" or count == 1 and "_single" or "_plural"
  return say("output." .. word .. form)
end

local function status_line(style, handler)
  local colors = style.colors
  local seconds = ("%.6f"):format(handler.getDuration()):gsub("(%d)0+$", "%1")
  return colors.green(handler.successesCount) .. " " .. counted(handler.successesCount, "success") .. " / "
    .. colors.red(handler.failuresCount) .. " " .. counted(handler.failuresCount, "failure") .. " / "
    .. colors.magenta(handler.errorsCount) .. " " .. counted(handler.errorsCount, "error") .. " / "
    .. colors.yellow(handler.pendingsCount) .. " " .. counted(handler.pendingsCount, "pending") .. " : "
    .. colors.bright(seconds) .. " " .. say("output.seconds")
end

return function(options, style)
  local handler = base()
  local write = handler.write

  function handler.testEnd(_, _, status)
    if not options.deferPrint then
      write(style.marks[status] or style.marks.success)
    end
    return nil, true
  end

  function handler.suiteStart(_, run, runs)
    if runs > 1 then
      write(("\nRepeating all tests (run %u of %u) . . .\n\n"):format(run, runs))
    end
    return nil, true
  end

  function handler.suiteEnd()
    write("\n" .. status_line(style, handler) .. "\n")
    for _, result in ipairs(handler.pendings) do
      write("\n" .. describe_pending(style, result) .. "\n")
    end
    for _, results in ipairs { handler.failures, handler.errors } do
      for _, result in ipairs(results) do
        write("\n" .. describe_failure(style, handler, result) .. "\n")
      end
    end
    return nil, true
  end

  function handler.error()
    write(style.marks.error)
    return nil, true
  end

  busted.subscribe({ "test", "end" }, handler.testEnd, { predicate = handler.cancelOnPending })
  busted.subscribe({ "suite", "start" }, handler.suiteStart)
  busted.subscribe({ "suite", "end" }, handler.suiteEnd)
  for _, kind in ipairs { "error", "failure" } do
    busted.subscribe({ kind, "file" }, handler.error)
    busted.subscribe({ kind, "describe" }, handler.error)
  end
  return handler
end
