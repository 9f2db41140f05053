-- ngx.req.socket: the methods that make sense on what the client sends, and, raw, on its connection.

local ngx = ...
local open = require("moongate.ops").ngx_req_socket.open
local shared = require("moongate.ngx.sockets")
local running, slots = require("moongate.running"), require("moongate.slots")
local error, select, setmetatable = error, select, setmetatable

local function face(names)
  local methods = {}
  for i = 1, #names do
    methods[names[i]] = shared.tcp[names[i]]
  end
  return { __index = methods }
end

local of_body = face { "receive", "receiveany", "receiveuntil", "settimeout", "settimeouts", "getfd", "getoption",
  "setoption" }
local of_raw = face { "receive", "receiveany", "receiveuntil", "settimeout", "settimeouts", "send", "getfd",
  "getoption", "setoption" }

function ngx.req.socket(...)
  local n = select("#", ...)
  if n > 1 then
    error("expecting 0 or 1 argument, but got " .. n, 2)
  end
  local raw = n == 1 and (...)
  local id, err = open(raw)
  if not id then
    return nil, err
  end
  if raw then
    -- for ngx.say and its like
    local slot = running[1]
    slots[slot] = slots[slot] or {}
    slots[slot].raw = true
  end
  return setmetatable({ shared.wrap_tcp(id) }, raw and of_raw or of_body)
end
