-- A helper of `moongate spec` which tells the names of names.lua that no spec calls:
--
--   MOONGATE_UNCALLED=report.txt moongate spec --helper=tests/names/called.lua spec/
--
-- A name counts as called when a file under spec/ calls the function that it stands for, itself or through `pcall` or
-- an assertion. Mentioning it does not count, nor does what the gateway's own Lua calls. One name a line is written to
-- the file; `? NAME` is one that stands for nothing, `= NAME` a value, which nobody can call.

local names = dofile "tests/names/names.lua"

local getinfo = debug.getinfo

-- the functions looked for, and by which names; lines of the report besides them
local wanted, others = {}, {}

local function want(name)
  local value = names.find(name)
  if type(value) == "table" then
    value = (getmetatable(value) or {}).__call or value
  end
  if type(value) ~= "function" then
    others[#others + 1] = "? " .. name
    return
  end
  local list = wanted[value] or {}
  list[#list + 1] = name
  wanted[value] = list
end

-- Whether the nearest Lua function above a call is a spec's: C functions and luassert are passed over.
local function by_a_spec()
  local level = 4
  while true do
    local info = getinfo(level, "S")
    if not info then
      return false
    elseif info.what ~= "C" and not info.source:find("luassert", 1, true) then
      return info.source:find("^@%.?/?spec/") ~= nil
    end
    level = level + 1
  end
end

local function hook()
  local called = getinfo(2, "f").func
  if wanted[called] and by_a_spec() then
    wanted[called] = nil
  end
end

local function report(path)
  local lines = others
  for _, list in pairs(wanted) do
    for _, name in ipairs(list) do
      lines[#lines + 1] = name
    end
  end
  table.sort(lines)
  local file = assert(io.open(path, "w"))
  file:write(table.concat(lines, "\n"))
  file:close()
end

return function(core)
  -- some are there in a request only
  require "moongate.spec.request" { steps = { { "access", function()
    for _, list in ipairs { names.kong, names.ngx, names.resty_core } do
      for _, entry in ipairs(list) do
        if entry.kind == "function" then
          want(entry.name)
        else
          others[#others + 1] = "= " .. entry.name
        end
      end
    end
  end } } }
  -- compiled code calls no hook
  jit.off()
  jit.flush()
  debug.sethook(hook, "c")
  core.subscribe({ "exit" }, function()
    debug.sethook()
    report(assert(os.getenv "MOONGATE_UNCALLED"))
    return nil, true
  end)
  return true
end
