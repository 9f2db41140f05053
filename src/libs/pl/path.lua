-- `pl.path`: paths and what they lead to (POSIX).

local ops = require("moongate.ops").libs
local files = require("moongate.ops").files

local M = { sep = "/", dirsep = ":", is_windows = false }

local function kind(want)
  return function(path)
    return ops.file_kind(path) == want
  end
end

M.isfile = kind "file"
M.isdir = kind "directory"

--- The path itself if something is there.
function M.exists(path)
  return ops.file_kind(path) and path or nil
end

function M.getsize(path)
  local _, size = ops.file_kind(path)
  return size
end

function M.getmtime(path)
  local _, _, modified = ops.file_kind(path)
  return modified
end

M.currentdir = ops.current_dir

function M.isabs(path)
  return path:sub(1, 1) == "/"
end

function M.splitpath(path)
  local dir, base = path:match("^(.*)/([^/]*)$")
  if not dir then
    return "", path
  end
  return dir, base
end

function M.splitext(path)
  local root, ext = path:match("^(.*[^/])(%.[^./]*)$")
  if not root then
    return path, ""
  end
  return root, ext
end

function M.dirname(path)
  return (M.splitpath(path))
end

function M.basename(path)
  return select(2, M.splitpath(path))
end

function M.extension(path)
  return select(2, M.splitext(path))
end

function M.join(first, ...)
  local path = first
  for _, part in ipairs { ... } do
    if M.isabs(part) then
      path = part
    elseif path == "" or path:sub(-1) == "/" then
      path = path .. part
    else
      path = path .. "/" .. part
    end
  end
  return path
end

function M.normpath(path)
  local out, absolute = {}, M.isabs(path)
  for part in path:gmatch("[^/]+") do
    if part == ".." and #out > 0 and out[#out] ~= ".." then
      out[#out] = nil
    elseif part ~= "." and not (part == ".." and absolute) then
      out[#out + 1] = part
    end
  end
  local joined = (absolute and "/" or "") .. table.concat(out, "/")
  return joined == "" and "." or joined
end

function M.abspath(path, pwd)
  path = path:gsub("(.)/$", "%1")
  if not M.isabs(path) then
    path = M.join(pwd or M.currentdir(), path)
  end
  return M.normpath(path)
end

function M.relpath(path, start)
  local from, to = {}, {}
  for part in M.abspath(start or M.currentdir()):gmatch("[^/]+") do from[#from + 1] = part end
  for part in M.abspath(path):gmatch("[^/]+") do to[#to + 1] = part end
  local same = 0
  while from[same + 1] and from[same + 1] == to[same + 1] do
    same = same + 1
  end
  local out = {}
  for _ = same + 1, #from do out[#out + 1] = ".." end
  for i = same + 1, #to do out[#out + 1] = to[i] end
  return #out == 0 and "." or table.concat(out, "/")
end

function M.expanduser(path)
  return (path:gsub("^~", os.getenv("HOME") or "~"))
end

M.tmpname = os.tmpname

--- Whether a path is a symbolic link itself.
function M.islink(path)
  return (files.stat(path, true) or {}).mode == "link"
end

function M.getatime(path)
  return (files.stat(path) or {}).access
end

function M.getctime(path)
  return (files.stat(path) or {}).change
end

M.mkdir, M.rmdir, M.chdir = files.mkdir, files.rmdir, files.chdir

--- Iterates over the names in a folder.
function M.dir(path)
  return require("lfs").dir(path)
end

function M.attrib(path, want)
  return require("lfs").attributes(path, want)
end

function M.link_attrib(path, want)
  return require("lfs").symlinkattributes(path, want)
end

--- The part that all paths of a list begin with.
function M.common_prefix(a, b)
  if #b < #a then
    a, b = b, a
  end
  for i = 1, #a do
    if a:sub(i, i) ~= b:sub(i, i) then
      local prefix = a:sub(1, i - 1)
      return prefix:match("^(.*)/[^/]*$") or ""
    end
  end
  return (b:sub(#a + 1, #a + 1) == "/" or a == b) and a or M.dirname(a)
end

return M
