-- Where in the spec something happened: the first stack frame that is neither C nor
-- part of the runner and its assertion library.

local trace = {}

-- The chunk names of the runner and of the assertion library.
local INTERNAL = { "moongate/busted[/.]", "moongate/luassert[/.]" }

local function is_internal(info)
  return info.what == "C" or info.source:find("^@" .. INTERNAL[1]) or info.source:find("^@" .. INTERNAL[2])
end

local function calls_runner(line)
  return line:find("^%s*" .. INTERNAL[1]) or line:find("^%s*" .. INTERNAL[2])
end

-- Ends the traceback where the runner called into the spec.
local function trim(text)
  local lines = {}
  for line in text:gmatch("[^\n]+") do
    if calls_runner(line) then break end
    lines[#lines + 1] = line
  end
  while #lines > 1 and lines[#lines]:find("^%s*%[C%]") do
    lines[#lines] = nil
  end
  return "\n" .. table.concat(lines, "\n") .. "\n"
end

-- Like debug.getinfo's table, with `traceback` and `message` added. With no spec frame
-- on the stack, `fallback` or an empty place.
function trace.here(message, fallback)
  local level = 2
  local info = debug.getinfo(level, "Sl")
  while info and is_internal(info) do
    level = level + 1
    info = debug.getinfo(level, "Sl")
  end
  if info then
    info.traceback = trim(debug.traceback("", level))
  else
    info = {}
    for key, value in pairs(fallback or { short_src = "?", source = "?", currentline = 0, what = "?" }) do
      info[key] = value
    end
    info.traceback = ""
  end
  info.message = tostring(message)
  return info
end

return trace
