-- A request around a piece of a spec:
--
--   local request = require "moongate.spec.request"
--   local r = request { method = "POST", uri = "/a?b=c", headers = { { "X-A", "1" } }, body = "text",
--                       phase = "access", handler = function() ngx.say("hello") end }
--   r.ended  "done", "exit" or "failed"; r.code of an exit, r.err of a failure; r.status, r.headers, r.body
--
-- `seen`, what the handler returns, comes back too: r.seen. With `steps = { { "access", f }, { "log", g } }` one
-- request goes through several phases. In a handler request.answered(status, lines, body), request.chunk(text, last)
-- and request.client(trusted, address) say what the world does, and request.left() what Lua has left. A handler of a
-- step that raises makes the request raise what it raised, so a failed assertion fails the spec.

local ops = require("moongate.ops")
local take = ops.vm.take
local run = ops.spec.request

local M = {}
local current

for _, name in ipairs { "answered", "chunk", "client", "left" } do
  M[name] = ops.spec[name]
end

function M.call()
  local one = current
  if not one.steps then
    current = nil
    one.seen = one.handler()
    return
  end
  one.at = (one.at or 0) + 1
  local ok, err = pcall(one.steps[one.at][2])
  if not ok then
    one.raised = { err }
    error("a step failed", 0)
  end
end

local function phases(o)
  if not o.steps then
    return o.phase or "access"
  end
  local names = {}
  for i, step in ipairs(o.steps) do
    names[i] = step[1]
  end
  return table.concat(names, " ")
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
  local one = { handler = o.handler, steps = o.steps }
  current = one
  local ended, what, status, headers, sent = done(run(phases(o), table.concat(lines, "\r\n") .. "\r\n\r\n",
                                                      body))
  if one.raised then
    error(one.raised[1], 0)
  end
  return {
    ended = ended, code = ended == "exit" and what or nil, err = ended == "failed" and what or nil,
    status = status, headers = headers, body = sent, seen = one.seen,
  }
end

return setmetatable(M, { __call = request })
