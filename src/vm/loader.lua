-- Where plugins' modules come from, after package.preload and lua_package_path: the drop-in layouts under the
-- Lua folder: <dir>/kong/plugins/<name>/x.lua, <dir>/<name>/x.lua for kong.plugins.<name>.x, and whole clones:
-- <dir>/<clone>/kong/plugins/<name>/x.lua, <dir>/kong-plugin-<name>/x.lua, and wherever a clone's rockspec says.

local dir, clones, rockspecs, readable, user_path = ...

-- module name -> file, as the rockspecs' build.modules have it
local function read_rockspecs()
  local modules = {}
  for _, file in ipairs(rockspecs()) do
    local chunk = loadfile(file)
    local spec = {}
    if chunk and pcall(setfenv(chunk, spec)) and type(spec.build) == "table" then
      local base = file:match("^(.*)/")
      for _, list in ipairs({ spec.build.modules or {}, spec.build.install and spec.build.install.lua or {} }) do
        for name, path in pairs(type(list) == "table" and list or {}) do
          if type(name) == "string" and type(path) == "string" and path:find("%.lua$") and not modules[name] then
            modules[name] = base .. "/" .. path:gsub("^%./", "")
          end
        end
      end
    end
  end
  return modules
end

local modules

local function candidates(name)
  modules = modules or read_rockspecs()
  local rel = name:gsub("%.", "/")
  local list = { dir .. "/" .. rel .. ".lua", dir .. "/" .. rel .. "/init.lua" }
  local plugin, rest = name:match("^kong%.plugins%.([^.]+)%.(.+)$")
  if plugin then
    list[#list + 1] = dir .. "/" .. plugin .. "/" .. rest:gsub("%.", "/") .. ".lua"
  end
  for _, clone in ipairs(clones()) do
    list[#list + 1] = clone .. "/" .. rel .. ".lua"
    list[#list + 1] = clone .. "/" .. rel .. "/init.lua"
  end
  list[#list + 1] = modules[name]
  if plugin then
    list[#list + 1] = dir .. "/kong-plugin-" .. plugin .. "/" .. rest:gsub("%.", "/") .. ".lua"
  end
  return list
end

local function load_file(name, file)
  local chunk, err = loadfile(file)
  if not chunk then
    error("error loading module '" .. name .. "' from file '" .. file .. "':\n\t" .. err, 0)
  end
  return chunk
end

table.insert(package.loaders, 3, function(name)
  local tried = {}
  for _, file in ipairs(candidates(name)) do
    if readable(file) then
      return load_file(name, file)
    end
    tried[#tried + 1] = "\n\tno file '" .. file .. "'"
  end
  return table.concat(tried)
end)

-- Libraries of others that are embedded too: a user's own copy, in lua_package_path or the Lua folder, comes first.
-- What is the gateway's part of Kong and OpenResty stays its own.
local OTHERS = {
  inspect = true, date = true, luatz = true, multipart = true, tablepool = true,
  ltn12 = true, mime = true, socket = true, ["socket.url"] = true, ["socket.http"] = true, ["ssl.https"] = true,
}
local OWN = { core = true, openssl = true, kong = true, signal = true, timerng = true }

table.insert(package.loaders, 1, function(name)
  if name:find("^kong%.plugins%.") and package.preload[name] then
    -- of Kong's own plugins: who brings the plugin has its files
    local file = package.searchpath(name, user_path)
    for _, place in ipairs(file and {} or candidates(name)) do
      file = file or readable(place) and place
    end
    return file and load_file(name, file) or nil
  end
  local first = name:match("^resty%.([^.]+)")
  if not (OTHERS[name] or name:find("^pl%.") or (first and not OWN[first])) or not package.preload[name] then
    return nil
  end
  local file = package.searchpath(name, user_path)
  if file then
    return load_file(name, file)
  end
  local rel = dir .. "/" .. name:gsub("%.", "/")
  for _, place in ipairs { rel .. ".lua", rel .. "/init.lua" } do
    if readable(place) then
      return load_file(name, place)
    end
  end
end)

-- A name may be written as a path ("pl/tablex"): for files it is the same, so it is for what is embedded.
package.loaders[#package.loaders + 1] = function(name)
  return name:find("/", 1, true) and package.preload[(name:gsub("/", "."))] or nil
end
