-- `kong.workspaces`: there is one, "default".

local running = require "moongate.running"
local slots = require "moongate.slots"

local M = {}

local function of(ctx)
  return ctx and ctx.workspace or kong.default_workspace
end

--- Notes the default workspace's id; makes the workspace where the store takes writes.
function M.upsert_default()
  local before = kong.default_workspace
  local found, err = kong.db.workspaces:select_by_name("default")
  if err then
    return nil, err
  end
  if not found then
    found, err = kong.db.workspaces:insert({ name = "default" })
    if not found then
      return nil, err
    end
  end
  ngx.ctx.workspace = found.id
  kong.default_workspace = found.id
  if before ~= found.id then
    kong.log.debug("default workspace id changed from ", before, " to ", found.id)
  end
  return found
end

function M.get_workspace()
  return kong.db.workspaces:select({ id = of(ngx.ctx) })
end

function M.get_workspace_name()
  return "default"
end

function M.set_workspace(workspace)
  ngx.ctx.workspace = workspace and workspace.id
end

--- The id of the workspace of the request (or of `ctx`); nil where there is none. Every cache key asks, so
--- ngx.ctx is looked at where it lies, and not made.
function M.get_workspace_id(ctx)
  if ctx then
    return of(ctx)
  end
  local n = running[1]
  if n == 0 then
    return nil
  end
  local tables = slots[n]
  return of(tables and tables.ctx)
end

return M
