-- `resty.shell`: runs a command and gathers what it writes, over `ngx.pipe`.

local ngx = ngx
local kill = require("resty.signal").kill
local concat, tostring = table.concat, tostring

local M = { version = 0.03 }

local OPTIONS = { buffer_size = 32 * 1024 }

-- Ends a process that is not wanted any more; `err` and what else went wrong.
local function ended(proc, err)
  local pid = proc:pid()
  local ok, why = kill(pid, "TERM")
  if not ok then
    return tostring(err) .. "; failed to kill process " .. pid .. ": " .. tostring(why)
  end
  ngx.sleep(0.001)
  kill(pid, "KILL")
  return tostring(err)
end

-- Everything one of its ends gives, up to `max` bytes, into `parts`; nil, or why it stopped.
local function gather(proc, parts, max, method)
  local len = 0
  while len <= max do
    local data, err, partial = proc[method](proc, max - len + 1)
    if not data then
      parts[#parts + 1] = partial
      return err ~= "closed" and err or nil
    end
    parts[#parts + 1] = data
    len = len + #data
  end
  return "too much data"
end

--- Runs `cmd` (a string for the shell, or a list): whether it ended well, what it wrote to stdout and stderr, how it
-- ended (or what went wrong), and its status.
function M.run(cmd, stdin, timeout, max_size)
  max_size = max_size or 128 * 1024
  local proc, err = require("ngx.pipe").spawn(cmd, OPTIONS)
  if not proc then
    return nil, nil, nil, "failed to spawn: " .. tostring(err)
  end
  proc:set_timeouts(timeout, timeout, timeout, timeout)
  local ok
  if stdin and stdin ~= "" then
    ok, err = proc:write(stdin)
    if not ok then
      return nil, nil, nil, "failed to write to stdin: " .. ended(proc, err)
    end
  end
  ok, err = proc:shutdown("stdin")
  if not ok then
    return nil, nil, nil, "failed to shutdown stdin: " .. ended(proc, err)
  end
  local out, errors = {}, {}
  local spawn, join = ngx.thread.spawn, ngx.thread.wait
  local out_thread = spawn(gather, proc, out, max_size, "stdout_read_any")
  local err_thread = spawn(gather, proc, errors, max_size, "stderr_read_any")
  -- in this order: the end of a process that was waited for closes what nobody reads
  local _, out_failed = join(out_thread)
  local _, err_failed = join(err_thread)
  local reason, status
  ok, reason, status = proc:wait()
  local stdout, stderr = concat(out), concat(errors)
  if ok == nil then
    return nil, stdout, stderr, "failed to wait for process: " .. ended(proc, reason)
  elseif out_failed then
    return nil, stdout, stderr, "failed to read stdout: " .. tostring(out_failed)
  elseif err_failed then
    return nil, stdout, stderr, "failed to read stderr: " .. tostring(err_failed)
  end
  return ok, stdout, stderr, reason, status
end

return M
