-- Names given by kong.global: tables of kong.ctx, and the log that a plugin's lines go to. Most states never use
-- them, so `used` and `log_used` spare the faces a look.

local scope = require "moongate.scope"
local running = require "moongate.running"

local M = { used = false, log_used = false }

local weak_values = { __mode = "v" }

--- The names of `ctx` (ngx.ctx without it), made where there are none.
local function namespaces(self, ctx)
  ctx = ctx or ngx.ctx
  local known = ctx.KONG_NAMESPACES
  if not known then
    known = setmetatable(self.table.new(0, 4), weak_values)
    ctx.KONG_NAMESPACES = known
  end
  return known
end

function M.set(self, name, key, ctx)
  M.used = true
  namespaces(self, ctx)[name] = key
end

function M.delete(self, name, ctx)
  namespaces(self, ctx)[name] = nil
end

--- Makes `log` what kong.log is until another plugin runs.
function M.set_log(log, ctx)
  M.log_used = true
  ctx = ctx or ngx.ctx
  ctx.KONG_LOG = log
  local tables = scope.tables()
  if tables then
    tables.log_of = running[3]
  end
end

--- What was set so, where the same plugin still runs.
function M.log()
  local log = scope.field("KONG_LOG")
  if log then
    local of = scope.tables().log_of
    if of == nil or of == (running[3]) then
      return log
    end
  end
end

return M
