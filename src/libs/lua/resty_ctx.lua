-- `kong.resty.ctx`: brings `ngx.ctx` over where a request goes on with another (`ngx.exec`), by `$ctx_ref`.

local get_request = require("resty.core.base").get_request
local var, log, WARN = ngx.var, ngx.log, ngx.WARN

local kept = setmetatable({}, { __mode = "v" })
local last = 0

local M = {}

--- Remembers the request's `ngx.ctx`, or the table given, unless one is remembered.
function M.stash_ref(ctx)
  if not get_request() then
    log(WARN, "could not stash ngx.ctx ref: no request found")
  elseif var.ctx_ref == "" then
    last = last + 1
    kept[last] = ctx or ngx.ctx
    var.ctx_ref = tostring(last)
  end
end

--- Makes the table that was remembered the request's `ngx.ctx` again.
function M.apply_ref()
  if not get_request() then
    log(WARN, "could not apply ngx.ctx: no request found")
    return
  end
  local ref = tonumber(var.ctx_ref)
  if not ref then
    return
  end
  local ctx = kept[ref]
  if not ctx then
    log(WARN, "could not apply ngx.ctx: no ctx found")
    return
  end
  ngx.ctx = ctx
  var.ctx_ref = ""
end

return M
