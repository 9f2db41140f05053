-- `kong.db.dao.workspaces`.

local constants = require "kong.constants"

local M = {}

function M:truncate()
  self.super.truncate(self)
  if kong.configuration.database == "off" then
    return true
  end
  local default, err = self:insert({ name = "default" })
  if err then
    kong.log.err(err)
    return
  end
  ngx.ctx.workspace = default.id
  kong.default_workspace = default.id
end

--- The workspace of this name. "default" is there also before any configuration is.
function M:select_by_name(name, options)
  local off = kong.configuration and kong.configuration.database == "off"
  local found, err, err_t = self.super.select_by_name(self, name, options)
  if off and name == "default" and not found then
    return { id = constants.DECLARATIVE_DEFAULT_WORKSPACE_ID }
  end
  return found, err, err_t
end

return M
