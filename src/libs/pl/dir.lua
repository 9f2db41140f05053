-- `pl.dir`: folders and what is in them.

local files = require("moongate.ops").files
local path = require "pl.path"
local utils = require "pl.utils"

local M = {}

local function names(dir)
  local found, err = files.list(dir)
  if not found then
    error("directory: cannot open " .. tostring(dir) .. ": " .. err, 3)
  end
  local list = {}
  for i = 3, #found do
    list[#list + 1] = found[i]
  end
  table.sort(list)
  return list
end

local function matches(name, mask)
  if not mask then
    return true
  end
  local pattern = mask:gsub("[%-%.%+%[%]%(%)%$%^%%]", "%%%0"):gsub("%*", ".*"):gsub("%?", ".")
  return name:find("^" .. pattern .. "$") ~= nil
end

--- Whether a file's name fits a shell pattern.
function M.fnmatch(name, pattern)
  return matches(name, pattern)
end

--- The names of a list that fit a shell pattern.
function M.filter(list, pattern)
  local out = {}
  for _, name in ipairs(list) do
    if matches(name, pattern) then
      out[#out + 1] = name
    end
  end
  return out
end

local function listed(dir, keep, mask)
  dir = dir or "."
  local out = {}
  for _, name in ipairs(names(dir)) do
    local full = path.join(dir, name)
    if keep(full) and matches(name, mask) then
      out[#out + 1] = full
    end
  end
  return out
end

--- The files in a folder, with its path before their names.
function M.getfiles(dir, mask)
  return listed(dir, path.isfile, mask)
end

--- The folders in a folder.
function M.getdirectories(dir)
  return listed(dir, path.isdir)
end

--- Iterates over a tree: folder, names of its folders, names of its files.
function M.walk(root, bottom_up, follow_links)
  local function visit(dir)
    local dirs, plain = {}, {}
    for _, name in ipairs(names(dir)) do
      local full = path.join(dir, name)
      local kind = (files.stat(full, not follow_links) or {}).mode
      if kind == "directory" then
        dirs[#dirs + 1] = name
      else
        plain[#plain + 1] = name
      end
    end
    if not bottom_up then
      coroutine.yield(dir, dirs, plain)
    end
    for _, name in ipairs(dirs) do
      visit(path.join(dir, name))
    end
    if bottom_up then
      coroutine.yield(dir, dirs, plain)
    end
  end
  return coroutine.wrap(function() visit(root) end)
end

--- All files of a tree.
function M.getallfiles(root, mask)
  local out = {}
  for dir, _, plain in M.walk(root) do
    for _, name in ipairs(plain) do
      if matches(name, mask) then
        out[#out + 1] = path.join(dir, name)
      end
    end
  end
  return out
end

--- Iterates over the paths in a tree with whether each is a folder.
function M.dirtree(root)
  return coroutine.wrap(function()
    for dir, dirs, plain in M.walk(root) do
      for _, name in ipairs(dirs) do coroutine.yield(path.join(dir, name), true) end
      for _, name in ipairs(plain) do coroutine.yield(path.join(dir, name), false) end
    end
  end)
end

--- Makes a folder and those above it.
function M.makepath(dir)
  if dir == "" or path.isdir(dir) then
    return true
  end
  local parent = path.dirname(dir)
  if parent ~= dir and parent ~= "" then
    local ok, err = M.makepath(parent)
    if not ok then
      return nil, err
    end
  end
  return files.mkdir(dir)
end

--- Removes a folder and all that is in it; links are not followed.
function M.rmtree(root)
  if (files.stat(root, true) or {}).mode == "link" then
    return nil, "will not follow symlink"
  end
  if not path.isdir(root) then
    return nil, "not a directory: " .. tostring(root)
  end
  for dir, dirs, plain in M.walk(root, true) do
    for _, name in ipairs(plain) do
      local ok, err = os.remove(path.join(dir, name))
      if not ok then
        return nil, err
      end
    end
    for _, name in ipairs(dirs) do
      local ok, err = files.rmdir(path.join(dir, name))
      if not ok then
        return nil, err
      end
    end
  end
  return files.rmdir(root)
end

--- Copies a file, into a folder if the target is one.
function M.copyfile(from, to, flag)
  if path.isdir(to) then
    to = path.join(to, path.basename(from))
  end
  if flag == false and path.exists(to) then
    return false, "file exists"
  end
  local content, err = utils.readfile(from, true)
  if not content then
    return false, err
  end
  local ok
  ok, err = utils.writefile(to, content, true)
  return ok or false, err
end

--- Moves a file.
function M.movefile(from, to)
  if path.isdir(to) then
    to = path.join(to, path.basename(from))
  end
  local ok, err = os.rename(from, to)
  return ok or false, err
end

--- Copies a tree by `fn(from, to)` (copyfile if none is given).
function M.clonetree(from, to, fn)
  fn = fn or M.copyfile
  local ok, err = M.makepath(to)
  if not ok then
    return nil, err
  end
  local failed_dirs, failed_files = {}, {}
  for dir, _, plain in M.walk(from) do
    local rest = dir == from and "" or dir:sub(#from + 2)
    local target = rest == "" and to or path.join(to, rest)
    if not M.makepath(target) then
      failed_dirs[#failed_dirs + 1] = target
    end
    for _, name in ipairs(plain) do
      if not fn(path.join(dir, name), path.join(target, name)) then
        failed_files[#failed_files + 1] = path.join(dir, name)
      end
    end
  end
  return true, failed_dirs, failed_files
end

return M
