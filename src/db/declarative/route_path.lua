-- `kong.db.declarative.migrations.route_path`: files of the formats 1.1 and 2.1, in which a path was a regular
-- expression by its looks, made files of format 3.0.

local migrate_path = require "kong.db.migrations.migrate_path_280_300"

local ipairs, pairs, type = ipairs, pairs, type

local function migrate_routes(routes)
  if type(routes) ~= "table" then
    return
  end
  for _, route in pairs(routes) do
    local paths = type(route) == "table" and route.paths
    if type(paths) == "table" then
      for i, path in ipairs(paths) do
        if type(path) == "string" then
          paths[i] = migrate_path(path)
        end
      end
    end
  end
end

return function(document)
  local version = document._format_version
  if version ~= "1.1" and version ~= "2.1" then
    return
  end
  migrate_routes(document.routes)
  if type(document.services) == "table" then
    for _, service in ipairs(document.services) do
      if type(service) == "table" then
        migrate_routes(service.routes)
      end
    end
  end
  document._format_version = "3.0"
end
