-- Runs spec sources in memory, inside a running spec: nested(files, args) returns
-- { code =, out =, err =, files = } where `files` includes what the run wrote. `files` is
-- a source (of spec/one_spec.lua) or a table of path -> source.

local run = require("busted.cli")

local function in_memory(files, result)
  local host = {}
  local cwd = ""
  local ticks = 0

  local function full(path)
    path = path:gsub("^%./", "")
    if path == "." then path = "" end
    return (cwd .. path):gsub("/+$", "")
  end

  function host.read_file(path)
    local text = files[full(path)]
    if text then return text end
    return nil, "No such file or directory"
  end

  function host.write_file(path, text)
    files[full(path)] = text
    return true
  end

  function host.is_file(path)
    return files[full(path)] ~= nil
  end

  function host.list_dir(path)
    local prefix = full(path) .. "/"
    local seen, entries = {}, {}
    for name in pairs(files) do
      if name:sub(1, #prefix) == prefix then
        local head, rest = name:sub(#prefix + 1):match("^([^/]+)(/?)")
        if not seen[head] then
          seen[head] = true
          entries[#entries + 1] = { name = head, kind = rest == "/" and "dir" or "file" }
        end
      end
    end
    return entries
  end

  function host.is_dir(path)
    return #host.list_dir(path) > 0
  end

  function host.chdir(path)
    if not host.is_dir(path) then return nil, path .. ": No such file or directory" end
    cwd = full(path) .. "/"
    return true
  end

  function host.current_dir()
    return "/" .. cwd
  end

  function host.monotonic()
    ticks = ticks + 0.001
    return ticks
  end

  function host.isatty() return false end
  function host.write(text) result.out = result.out .. text end
  function host.write_error(text) result.err = result.err .. text end
  return host
end

return function(files, args)
  if type(files) == "string" then
    files = { ["spec/one_spec.lua"] = files }
  end
  local result = { out = "", err = "", files = files }
  result.code = run(args or { "-o", "TAP" }, in_memory(files, result))
  return result
end
