-- The `.busted` file: a Lua table of tasks; `_all` applies to every task.

local paths = require("busted.paths")

local config = {}

-- Later tables win.
local function merge(...)
  local merged = {}
  for _, values in ipairs { ... } do
    for key, value in pairs(values) do
      merged[key] = value
    end
  end
  return merged
end

-- Lays the chosen task over the defaults and the command line over both.
function config.apply(file, parsed, base)
  if type(file) ~= "table" then
    return nil, ".busted file does not return a table."
  end
  local task = {}
  local run = parsed.run or base.run
  if run and run ~= "" then
    task = file[run]
    if type(task) ~= "table" then
      return nil, "Task `" .. run .. "` not found, or not a table."
    end
  elseif type(file.default) == "table" then
    task = file.default
  end
  return merge(base, type(file._all) == "table" and file._all or {}, task, parsed)
end

-- The file to read: the named one, which must exist, or `.busted` where there is one.
local function locate(host, base, parsed)
  local named = parsed["config-file"]
  if named then
    local text = host.read_file(named)
    if not text then
      return nil, ("specified config file '%s' not found"):format(named)
    end
    return named, text
  end
  local path = paths.normalize(paths.join(parsed.directory or base.directory, ".busted"))
  if host.is_dir(path) then return nil end
  return path, (host.read_file(path))
end

-- What the command line (`parsed`) and the file make of the defaults (`base`); nil and a
-- message, led by the program's `name`, when the file is wrong.
function config.load(host, base, parsed, name)
  local path, text = locate(host, base, parsed)
  if not path and text then
    return nil, name .. ": error: " .. text
  elseif not text then
    return merge(base, parsed)
  end

  local chunk, err = loadstring(text, "@" .. path)
  if not chunk then
    return nil, ("failed loading config file `%s`: %s"):format(path, err)
  end
  local ok, result = pcall(chunk)
  if not ok then
    return nil, name .. ": error: " .. tostring(result)
  end
  local values
  values, err = config.apply(result, parsed, base)
  if not values then
    return nil, name .. ": error: " .. err
  end
  return values
end

return config
