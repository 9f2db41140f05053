-- `kong.observability.tracing.request_id`: the id of the request, kept in `ngx.ctx` after the first time.

local ngx = ngx

-- Phases of a request, where its variables can be read.
local READABLE = {
  set = true, rewrite = true, access = true, content = true, header_filter = true, body_filter = true,
  log = true, balancer = true,
}

local M = {}

function M._get_ctx_request_id()
  return ngx.ctx.request_id
end

--- The id, or nil and why there is none.
function M.get()
  local ctx = ngx.ctx
  local id = ctx.request_id
  if id then
    return id
  end
  local phase = ngx.get_phase()
  if not READABLE[phase] then
    return nil, "cannot access ngx.var in " .. phase .. " phase"
  end
  id = ngx.var.kong_request_id
  ctx.request_id = id
  return id
end

return M
