-- What one call costs: each function in a loop of its own, in the access phase of whatever runs this file. Prints
-- "name ns" lines. The loops are the same on both sides; `kong` has its own only here.

local jit = require "jit"
local rounds = tonumber(ngx.var.arg_rounds) or 5
local count = tonumber(ngx.var.arg_count) or 200000

-- CPU of the process: what else the machine does counts less than by the clock
local seconds = os.clock

local shared = ngx.shared.calls
shared:set("number", 1)
shared:set("string", ("x"):rep(32))
local subject = "/v1/users/4711/orders?sort=asc"
local DEBUG, header, var = ngx.DEBUG, ngx.header, ngx.var
local get_headers, set_header = ngx.req.get_headers, ngx.req.set_header
local find, match, gsub, log = ngx.re.find, ngx.re.match, ngx.re.gsub, ngx.log

-- the sum keeps the JIT from dropping a loop's body
local sum = 0

local tests = {
  { "an empty loop", function(n)
    for i = 1, n do sum = sum + i end
  end },
  { "ngx.var.request_method", function(n)
    for _ = 1, n do sum = sum + #var.request_method end
  end },
  { "ngx.var.http_user_agent", function(n)
    for _ = 1, n do sum = sum + #var.http_user_agent end
  end },
  { "ngx.var.remote_addr", function(n)
    for _ = 1, n do sum = sum + #var.remote_addr end
  end },
  { "ngx.ctx.field", function(n)
    ngx.ctx.field = 1
    for _ = 1, n do sum = sum + ngx.ctx.field end
  end },
  { "ngx.ctx.field = 1", function(n)
    for i = 1, n do ngx.ctx.field = i end
  end },
  { "ngx.req.get_headers()", function(n)
    for _ = 1, n do sum = sum + #get_headers()["user-agent"] end
  end },
  { "ngx.req.set_header", function(n)
    for _ = 1, n do set_header("x-calls", "value") end
  end },
  { "ngx.req.get_method()", function(n)
    local get_method = ngx.req.get_method
    for _ = 1, n do sum = sum + #get_method() end
  end },
  { "ngx.req.get_uri_args()", function(n)
    local get_uri_args = ngx.req.get_uri_args
    for _ = 1, n do sum = sum + #get_uri_args().rounds end
  end },
  { "ngx.header.x = v", function(n)
    for _ = 1, n do header["x-calls"] = "value" end
  end },
  { "ngx.header.x", function(n)
    for _ = 1, n do sum = sum + #header["x-calls"] end
  end },
  { "ngx.status", function(n)
    for _ = 1, n do sum = sum + ngx.status end
  end },
  { "ngx.get_phase()", function(n)
    local get_phase = ngx.get_phase
    for _ = 1, n do sum = sum + #get_phase() end
  end },
  { "dict:get, a number", function(n)
    for _ = 1, n do sum = sum + shared:get("number") end
  end },
  { "dict:get, a string", function(n)
    for _ = 1, n do sum = sum + #shared:get("string") end
  end },
  { "dict:set", function(n)
    for i = 1, n do shared:set("number", i) end
  end },
  { "dict:incr", function(n)
    for _ = 1, n do sum = sum + shared:incr("count", 1, 0) end
  end },
  { "ngx.log below the level", function(n)
    for i = 1, n do log(DEBUG, "a message ", i) end
  end },
  { "ngx.re.find, jo", function(n)
    for _ = 1, n do sum = sum + find(subject, "/users/([0-9]+)", "jo") end
  end },
  { "ngx.re.match, jo", function(n)
    for _ = 1, n do sum = sum + #match(subject, "/users/([0-9]+)", "jo")[1] end
  end },
  { "ngx.re.gsub, jo", function(n)
    for _ = 1, n do sum = sum + #gsub(subject, "/", "-", "jo") end
  end },
  { "ngx.now()", function(n)
    local now = ngx.now
    for _ = 1, n do sum = sum + now() end
  end },
  { "ngx.md5", function(n)
    local md5 = ngx.md5
    for _ = 1, n do sum = sum + #md5(subject) end
  end },
  { "ngx.encode_base64", function(n)
    local encode = ngx.encode_base64
    for _ = 1, n do sum = sum + #encode(subject) end
  end },
  { "ngx.escape_uri", function(n)
    local escape = ngx.escape_uri
    for _ = 1, n do sum = sum + #escape(subject) end
  end },
}

local function add(name, f)
  tests[#tests + 1] = { name, f }
end

local more = ngx.var.arg_more == "1"
if more then
  tests = { tests[1] }
  local folder = debug.getinfo(1, "S").source:match("^@(.*/)")
  assert(loadfile(folder .. "more.lua"))(add)
elseif kong then
  add("kong.ctx.plugin.field", function(n)
    kong.ctx.plugin.field = 1
    for _ = 1, n do sum = sum + kong.ctx.plugin.field end
  end)
  add("kong.ctx.shared.field = 1", function(n)
    for i = 1, n do kong.ctx.shared.field = i end
  end)
  add("kong.request.get_header", function(n)
    for _ = 1, n do sum = sum + #kong.request.get_header("user-agent") end
  end)
  add("kong.request.get_method", function(n)
    for _ = 1, n do sum = sum + #kong.request.get_method() end
  end)
  add("kong.service.request.set_header", function(n)
    for _ = 1, n do kong.service.request.set_header("x-calls", "value") end
  end)
  add("kong.response.set_header", function(n)
    for _ = 1, n do kong.response.set_header("x-calls", "value") end
  end)
  add("kong.log.debug below the level", function(n)
    for i = 1, n do kong.log.debug("a message ", i) end
  end)
end

local out = {}
for _, test in ipairs(tests) do
  local name, run = test[1], test[2]
  local best = math.huge
  run(2000)
  for _ = 1, rounds do
    local began = seconds()
    run(count)
    best = math.min(best, (seconds() - began) / count * 1e9)
  end
  if more then
    jit.flush() -- so many loops have no room beside each other
  end
  out[#out + 1] = ("%s\t%.1f"):format(name, best)
end
local answer = table.concat(out, "\n") .. "\n"
jit.flush()
if kong then
  return kong.response.exit(200, answer)
end
ngx.print(answer)
ngx.exit(200)
