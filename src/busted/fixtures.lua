-- Files beside the spec that asks for them.

local files = require("busted.files")
local hosts = require("busted.host")
local paths = require("busted.paths")

local fixtures = {}

-- The file of the nearest function on the stack that is not one of these.
local function calling_file()
  local own = debug.getinfo(1, "S").source
  local level = 2
  local info = debug.getinfo(level, "S")
  while info and (info.what == "C" or info.source == own or info.source == "=(tail call)") do
    level = level + 1
    info = debug.getinfo(level, "S")
  end
  return info and info.source:gsub("^@", "") or ""
end

local function check(name, value, expected, level)
  if type(value) ~= "string" then
    error(("bad argument to '%s' expected %s, got: %s"):format(name, expected, type(value)), level + 1)
  end
end

local function resolve(relative)
  local directory = paths.dirname(calling_file())
  local base = directory:sub(1, 1) == "/" and "" or hosts.need("current_dir")()
  return paths.normalize(paths.join(paths.join(base, directory), relative or ""))
end

-- The absolute path of `relative`, seen from the calling file.
function fixtures.path(relative)
  if relative ~= nil then
    check("path", relative, "a string (relative filename) or nil", 2)
  end
  return (resolve(relative))
end

-- The contents of a file, seen from the calling file.
function fixtures.read(relative)
  check("read", relative, "a string (relative filename)", 2)
  local path = resolve(relative)
  local text, err = hosts.current().read_file(path)
  if not text then
    error(("Error reading file '%s': %s"):format(path, tostring(err)), 2)
  end
  return text
end

-- What a Lua file returns; ".lua" may be left out.
function fixtures.load(relative)
  check("load", relative, "a string (relative filename)", 2)
  if not relative:match("%.lua$") then
    relative = relative .. ".lua"
  end
  local chunk, err = files.compile(hosts.current(), resolve(relative))
  if not chunk then
    error(("Error loading code from '%s': %s"):format(relative, tostring(err)), 2)
  end
  return chunk()
end

return fixtures
