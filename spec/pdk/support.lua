-- What the specs of the PDK share: errors without their position, and a request around a function.

local request = require "moongate.spec.request"

local assert = require "luassert"

local M = {}

local thread = coroutine.create(print)

--- The error that a call raises, without the position.
function M.raised(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.equal("string", type(err))
  return (err:gsub("^[^ ]-:%d+: ", ""))
end

--- Junk of every type but those named.
function M.junk(...)
  local skip = {}
  for i = 1, select("#", ...) do
    skip[select(i, ...)] = true
  end
  local all = {
    { "nil", nil }, { "boolean", true }, { "number", 5 }, { "string", "x" }, { "table", {} },
    { "function", print }, { "thread", thread }, { "userdata", ngx.null },
    { "cdata", 1LL },
  }
  local at = 0
  return function()
    repeat
      at = at + 1
    until not all[at] or not skip[all[at][1]]
    if all[at] then
      return all[at][1], all[at][2]
    end
  end
end

--- Runs `f` in a phase (access without one) of a request.
function M.within(f, options)
  options = options or {}
  return request {
    method = options.method, uri = options.uri, host = options.host, headers = options.headers, body = options.body,
    steps = { { options.phase or "access", f } },
  }
end

return M
