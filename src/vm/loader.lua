-- Where plugins' modules come from, after package.preload and lua_package_path: the drop-in layouts under the
-- Lua folder: <dir>/kong/plugins/<name>/x.lua, <dir>/<name>/x.lua for kong.plugins.<name>.x, and whole clones,
-- <dir>/<clone>/kong/plugins/<name>/x.lua.

local dir, clones, readable = ...

local function candidates(name)
  local rel = name:gsub("%.", "/")
  local list = { dir .. "/" .. rel .. ".lua", dir .. "/" .. rel .. "/init.lua" }
  local plugin, rest = name:match("^kong%.plugins%.([^.]+)%.(.+)$")
  if plugin then
    list[#list + 1] = dir .. "/" .. plugin .. "/" .. rest:gsub("%.", "/") .. ".lua"
  end
  for _, clone in ipairs(clones()) do
    list[#list + 1] = clone .. "/" .. rel .. ".lua"
    list[#list + 1] = clone .. "/" .. rel .. "/init.lua"
    if plugin then
      list[#list + 1] = clone .. "/" .. rest:gsub("%.", "/") .. ".lua"
    end
  end
  return list
end

table.insert(package.loaders, 3, function(name)
  local tried = {}
  for _, file in ipairs(candidates(name)) do
    if readable(file) then
      local chunk, err = loadfile(file)
      if not chunk then
        error("error loading module '" .. name .. "' from file '" .. file .. "':\n\t" .. err, 0)
      end
      return chunk
    end
    tried[#tried + 1] = "\n\tno file '" .. file .. "'"
  end
  return table.concat(tried)
end)
