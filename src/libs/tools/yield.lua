-- `kong.tools.yield`: letting other requests run in the middle of long work.

local M = {}

local CAN = { rewrite = true, access = true, content = true, timer = true, ssl_certificate = true }

function M.in_yieldable_phase(phase)
  return CAN[phase or ngx.get_phase()] or false
end

function M.yield(in_loop, phase)
  if not in_loop and M.in_yieldable_phase(phase) then
    ngx.sleep(0)
  end
end

return M
