-- `kong.db.declarative.migrations`: a document of any known format made one of the newest.

local route_path = require "kong.db.declarative.migrations.route_path"

return function(document)
  if document then
    route_path(document)
    document._format_version = "3.0"
  end
end
