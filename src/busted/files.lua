-- Finding spec files and loading them.

local paths = require("busted.paths")
local say = require("say")

local MAX_DEPTH = 64

local files = {}

-- Compiles a Lua file; a first line that starts with "#" is skipped.
function files.compile(host, path)
  local text, err = host.read_file(path)
  if not text then
    err = tostring(err)
    local lead = path .. ": "
    return nil, "cannot open " .. lead .. (err:sub(1, #lead) == lead and err:sub(#lead + 1) or err)
  end
  if text:sub(1, 3) == "\239\187\191" then text = text:sub(4) end
  if text:sub(1, 1) == "#" then text = "--" .. text end
  return loadstring(text, "@" .. path)
end

local function wanted(name, patterns, excludes)
  for _, pattern in ipairs(excludes) do
    if pattern ~= "" and name:find(pattern) then return false end
  end
  for _, pattern in ipairs(patterns) do
    if name:find(pattern) then return true end
  end
  return #patterns == 0
end

-- Adds the wanted files below `directory` to `found`; hidden ones are left out.
local function collect(host, directory, options, found, depth)
  local entries, err = host.list_dir(directory)
  if not entries then
    return nil, err
  end
  for _, entry in ipairs(entries) do
    local path = paths.join(directory, entry.name)
    if entry.name:sub(1, 1) == "." then
      -- hidden
    elseif entry.kind ~= "dir" then
      if wanted(entry.name, options.patterns, options.excludes) then
        found[#found + 1] = path
      end
    elseif options.recursive and depth < MAX_DEPTH then
      collect(host, path, options, found, depth + 1)
    end
  end
  return true
end

local function is_file(host, path)
  if host.is_file then return host.is_file(path) end
  return host.read_file(path) ~= nil
end

local function find(core, host, root, options)
  local found = {}
  if host.is_dir(root) then
    local directory = #root > 1 and root:gsub("/+$", "") or root
    collect(host, directory, options, found, 1)
  elseif is_file(host, root) then
    found[1] = root
  else
    core.publish({ "error" }, {}, nil, say("output.file_not_found"):format(root), {})
  end
  table.sort(found)
  return found
end

local function extension(path)
  return path:match("(%.[^./]*)$")
end

-- Registers the spec files under `roots`. options: patterns, excludes, recursive.
function files.load(core, host, roots, options)
  local count = 0
  for _, root in ipairs(roots) do
    for _, path in ipairs(find(core, host, root, options)) do
      count = count + 1
      if extension(path) == ".lua" then
        local chunk, err = files.compile(host, path)
        if chunk then
          core.executors.file(path, chunk)
        else
          core.publish({ "error", "file" }, { descriptor = "file", name = path }, nil, err, {})
        end
      end
    end
  end

  if count == 0 then
    local patterns = options.patterns
    local shown = #patterns > 1 and "\n\t" .. table.concat(patterns, "\n\t") or tostring(patterns[1])
    core.publish({ "error" }, {}, nil, say("output.no_test_files_match"):format(shown), {})
  end
end

return files
