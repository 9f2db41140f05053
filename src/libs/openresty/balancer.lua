-- `ngx.balancer`. OpenResty allows these in balancer_by_lua only, which is the gateway's own part here: a plugin
-- (it gets there in a retry callback) sets the target by `kong.service`. So outside the balancer phase they answer
-- as OpenResty does, and inside they are not supported.

local base = require "resty.core.base"
local get_request = base.get_request
local error, type, tonumber = error, type, tonumber
local get_phase = ngx.get_phase

-- nginx makes the upstream after access
local BEFORE = { rewrite = true, access = true, ssl_cert = true, ssl_client_hello = true, timer = true,
                 init_worker = true, content = true }

local function refusal()
  return BEFORE[get_phase()] and "no upstream found" or "API disabled in the current context"
end

local M = { version = base.version }

local function check(name, level)
  if not get_request() then
    error("no request found", level)
  elseif get_phase() == "balancer" then
    error("not supported: ngx.balancer." .. name, level)
  end
end

function M.set_current_peer(addr, port, host)
  check("set_current_peer", 3)
  local _ = port and tonumber(port)
  if host ~= nil and type(host) ~= "string" then
    error("bad argument #3 to 'set_current_peer' (string expected, got " .. type(host) .. ")", 2)
  elseif type(addr) ~= "string" then
    error("bad argument #1 to 'set_current_peer' (string expected, got " .. type(addr) .. ")", 2)
  end
  return nil, refusal()
end

local function positive(value, i)
  if not value then
    return
  elseif type(value) ~= "number" then
    error("bad argument #" .. i .. " to 'enable_keepalive' (number expected, got " .. type(value) .. ")", 3)
  elseif value < 0 then
    error("bad argument #" .. i .. " to 'enable_keepalive' (expected >= 0)", 3)
  end
end

function M.enable_keepalive(idle_timeout, max_requests)
  check("enable_keepalive", 3)
  positive(idle_timeout, 1)
  positive(max_requests, 2)
  return nil, refusal()
end

function M.set_more_tries(count)
  check("set_more_tries", 3)
  if type(count) ~= "number" then
    error("bad argument #1 to 'set_more_tries' (number expected, got " .. type(count) .. ")", 2)
  end
  return nil, refusal()
end

function M.get_last_failure()
  check("get_last_failure", 3)
  return nil, nil, refusal()
end

function M.set_timeouts(connect_timeout, send_timeout, read_timeout)
  check("set_timeouts", 3)
  local function good(value, name)
    if value and (type(value) ~= "number" or value <= 0) then
      error("bad " .. name .. " timeout", 3)
    end
  end
  good(connect_timeout, "connect")
  good(send_timeout, "send")
  good(read_timeout, "read")
  return false, refusal()
end

function M.recreate_request()
  check("recreate_request", 3)
  return nil, refusal()
end

function M.set_upstream_tls()
  check("set_upstream_tls", 3)
  return nil, refusal()
end

function M.bind_to_local_addr(addr)
  check("bind_to_local_addr", 3)
  if type(addr) ~= "string" then
    error("bad argument #1 to 'bind_to_local_addr' (string expected, got " .. type(addr) .. ")", 2)
  end
  return nil, refusal()
end

return M
