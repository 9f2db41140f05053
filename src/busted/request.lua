-- A request around a piece of a spec:
--
--   local request = require "moongate.spec.request"
--   local r = request { method = "POST", uri = "/a?b=c", headers = { { "X-A", "1" } }, body = "text",
--                       phase = "access", handler = function() ngx.say("hello") end }
--   r.ended  "done", "exit" or "failed"; r.code of an exit, r.err of a failure; r.status, r.headers, r.body
--
-- `seen`, what the handler returns, comes back too: r.seen.

local ops = require("moongate.ops")
local take = ops.vm.take
local run = ops.spec.request

local M = {}
local current

function M.call()
  local one = current
  current = nil
  one.seen = one.handler()
end

local function done(...)
  if select("#", ...) == 0 then
    return take()
  end
  return ...
end

local function request(_, o)
  local method, uri, body = o.method or "GET", o.uri or "/", o.body or ""
  local lines = { method .. " " .. uri .. " HTTP/1.1", "Host: " .. (o.host or "test.local") }
  for _, pair in ipairs(o.headers or {}) do
    lines[#lines + 1] = pair[1] .. ": " .. pair[2]
  end
  if body ~= "" then
    lines[#lines + 1] = "Content-Length: " .. #body
  end
  local one = { handler = o.handler }
  current = one
  local ended, what, status, headers, sent = done(run(o.phase or "access", table.concat(lines, "\r\n") .. "\r\n\r\n",
                                                      body))
  return {
    ended = ended, code = ended == "exit" and what or nil, err = ended == "failed" and what or nil,
    status = status, headers = headers, body = sent, seen = one.seen,
  }
end

return setmetatable(M, { __call = request })
