-- `lfs`: LuaFileSystem's names over `moongate.ops`.files.

local ops = require("moongate.ops").files
local files, libs = ops, require("moongate.ops").libs

local M = { _VERSION = "LuaFileSystem 1.8.0", _COPYRIGHT = "" }

local function attributes(of_link, path, want)
  local all, err, code = files.stat(path, of_link)
  if not all then
    return nil, ("cannot obtain information from file '%s': %s"):format(path, err), code
  end
  if type(want) == "string" then
    local value = all[want]
    if value == nil then
      error("invalid attribute name '" .. want .. "'", 3)
    end
    return value
  elseif type(want) == "table" then
    for k, v in pairs(all) do
      want[k] = v
    end
    return want
  end
  return all
end

--- The attributes of what a path leads to: all, one by its name, or into a table.
function M.attributes(path, want)
  return attributes(false, path, want)
end

--- As `attributes`, of a symbolic link itself.
function M.symlinkattributes(path, want)
  return attributes(true, path, want)
end

--- Iterates over the names in a folder; raises if it cannot be read.
function M.dir(path)
  local names, err = files.list(path)
  if not names then
    error(("cannot open %s: %s"):format(path, err), 2)
  end
  local i = 0
  local iterator = {
    next = function()
      i = i + 1
      return names[i]
    end,
    close = function()
      i = #names
    end,
  }
  return iterator.next, iterator
end

M.currentdir = libs.current_dir
M.touch = files.touch

function M.chdir(path)
  local ok, err = files.chdir(path)
  if not ok then
    return nil, ("Unable to change working directory to '%s'\n%s\n"):format(path, err)
  end
  return true
end

M.mkdir = files.mkdir
M.rmdir = files.rmdir

function M.link(old, new, symbolic)
  return files.link(old, new, symbolic)
end

--- Files have no text mode here.
function M.setmode()
  return true, "binary"
end

for _, name in ipairs { "lock", "lock_dir", "unlock" } do
  M[name] = function()
    error("not supported: lfs." .. name, 2)
  end
end

return M
