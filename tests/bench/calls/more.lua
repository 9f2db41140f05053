-- The calls that are less hot, for `run.py --more`: `add(name, loop)` for each, beside the same in nginx.

local add = ...
local sum = 0
local subject = "/v1/users/4711/orders?sort=asc"
local encoded = "a%20b+c/%C3%A4-und-noch-mehr"
local shared, var, header = ngx.shared.calls, ngx.var, ngx.header
local req, re = ngx.req, ngx.re
local encoded64 = ngx.encode_base64(subject)

-- a loop over `f`, whose result is a string
local function text(name, f)
  add(name, function(n)
    for _ = 1, n do sum = sum + #f() end
  end)
end

-- a loop over `f`, whose result does not matter
local function plain(name, f)
  add(name, function(n)
    for i = 1, n do f(i) end
  end)
end

for _, name in ipairs { "uri", "request_uri", "args", "query_string", "arg_rounds", "host", "scheme", "server_port",
                        "http_host", "cookie_none", "is_args", "request_id", "request_time", "request_length", "status",
                        "remote_port", "server_name", "connection", "request", "time_iso8601", "pid", "unknown_name" } do
  plain("ngx.var." .. name, function() return var[name] end)
end
plain("ngx.var.args = v", function() var.args = "rounds=3" end)

text("ngx.req.get_headers(0, true)", function() return req.get_headers(0, true)["User-Agent"] end)
plain("ngx.req.clear_header", function() req.clear_header("x-none") end)
plain("ngx.req.http_version()", req.http_version)
plain("ngx.req.start_time()", req.start_time)
plain("ngx.req.raw_header()", function() return req.raw_header() end)
plain("ngx.req.is_internal()", req.is_internal)
plain("ngx.req.set_method", function() req.set_method(ngx.HTTP_GET) end)
plain("ngx.req.set_uri", function() req.set_uri("/v1/users") end)
plain("ngx.req.set_uri_args", function() req.set_uri_args("rounds=3&count=1") end)
plain("ngx.req.set_uri_args, a table", function() req.set_uri_args { rounds = 3, count = 1 } end)
plain("ngx.resp.get_headers()", function() return ngx.resp.get_headers() end)
plain("ngx.header.x = {...}", function() header["x-calls"] = { "a", "b" } end)
plain("ngx.header.x, a list", function() return header["x-calls"] end)
plain("ngx.header.none", function() return header["x-none"] end)
plain("ngx.header.x = nil", function() header["x-calls"] = nil end)
plain("ngx.headers_sent", function() return ngx.headers_sent end)
plain("ngx.is_subrequest", function() return ngx.is_subrequest end)
plain("ngx.status = v", function() ngx.status = 200 end)
plain("ngx.worker.id()", ngx.worker.id)
plain("ngx.worker.pid()", ngx.worker.pid)
plain("ngx.worker.exiting()", ngx.worker.exiting)
plain("ngx.time()", ngx.time)
plain("ngx.update_time()", ngx.update_time)
plain("ngx.today()", ngx.today)
plain("ngx.localtime()", ngx.localtime)
plain("ngx.utctime()", ngx.utctime)
plain("ngx.http_time", function(i) return ngx.http_time(i) end)
plain("ngx.cookie_time", function(i) return ngx.cookie_time(i) end)
plain("ngx.parse_http_time", function() return ngx.parse_http_time("Thu, 18 Nov 2010 11:27:35 GMT") end)
plain("ngx.encode_args", function() return ngx.encode_args { a = 1, b = "x y" } end)
plain("ngx.decode_args", function() return ngx.decode_args("a=1&b=x%20y") end)
text("ngx.unescape_uri", function() return ngx.unescape_uri(encoded) end)
text("ngx.decode_base64", function() return ngx.decode_base64(encoded64) end)
text("ngx.md5_bin", function() return ngx.md5_bin(subject) end)
text("ngx.sha1_bin", function() return ngx.sha1_bin(subject) end)
text("ngx.hmac_sha1", function() return ngx.hmac_sha1("key", subject) end)
plain("ngx.crc32_short", function() return ngx.crc32_short(subject) end)
plain("ngx.crc32_long", function() return ngx.crc32_long(subject) end)
text("ngx.quote_sql_str", function() return ngx.quote_sql_str("it's") end)
plain("ngx.re.find, joi", function() return re.find(subject, "USERS", "joi") end)
plain("ngx.re.sub, jo", function() return re.sub(subject, "[0-9]+", "$0-", "jo") end)
plain("ngx.re.gmatch, jo", function()
  for m in re.gmatch(subject, "[a-z]+", "jo") do sum = sum + #m[0] end
end)
plain("dict:add, delete", function() shared:add("fresh", 1) shared:delete("fresh") end)
plain("dict:replace", function() shared:replace("number", 2) end)
plain("dict:get_stale", function() return shared:get_stale("number") end)
plain("dict:get, none", function() return shared:get("none") end)
plain("dict:ttl", function() return shared:ttl("number") end)
plain("dict:expire", function() return shared:expire("number", 1000) end)
plain("dict:lpush, rpop", function() shared:lpush("list", "v") shared:rpop("list") end)
plain("dict:llen", function() return shared:llen("list") end)
plain("dict:free_space", function() return shared:free_space() end)
plain("coroutine.create, resume", function()
  local co = coroutine.create(function(a) coroutine.yield(a) end)
  coroutine.resume(co, 1)
  coroutine.resume(co)
end)
plain("coroutine.wrap", function()
  local co = coroutine.wrap(function() coroutine.yield(1) end)
  co()
end)
plain("ngx.thread.spawn, wait", function() ngx.thread.wait(ngx.thread.spawn(function() end)) end)
local semaphore = require("ngx.semaphore").new()
plain("semaphore: post, wait", function() semaphore:post() semaphore:wait(0) end)
plain("pcall(error)", function() pcall(error, "x") end)
plain("ngx.ctx = {}", function() ngx.ctx = {} end)

if not kong then
  return
end
local kreq, kresp, service = kong.request, kong.response, kong.service
for _, name in ipairs { "get_scheme", "get_host", "get_port", "get_path", "get_raw_path", "get_path_with_query",
                        "get_raw_query", "get_query", "get_headers", "get_http_version", "get_forwarded_host",
                        "get_forwarded_path", "get_forwarded_port", "get_forwarded_scheme", "get_start_time",
                        "get_uri_captures" } do
  plain("kong.request." .. name, function() return kreq[name]() end)
end
plain("kong.request.get_query_arg", function() return kreq.get_query_arg("rounds") end)
plain("kong.client.get_ip", function() return kong.client.get_ip() end)
plain("kong.client.get_forwarded_ip", function() return kong.client.get_forwarded_ip() end)
plain("kong.client.get_credential", function() return kong.client.get_credential() end)
plain("kong.client.get_consumer", function() return kong.client.get_consumer() end)
plain("kong.router.get_route", function() return kong.router.get_route() end)
plain("kong.service.set_target", function() service.set_target("127.0.0.1", 80) end)
plain("kong.service.request.set_path", function() service.request.set_path("/v1") end)
plain("kong.service.request.set_query", function() service.request.set_query { a = 1 } end)
plain("kong.service.request.set_headers", function() service.request.set_headers { ["x-a"] = "1", ["x-b"] = "2" } end)
plain("kong.service.request.clear_header", function() service.request.clear_header("x-none") end)
plain("kong.service.request.add_header, clear", function()
  service.request.add_header("x-a", "1")
  service.request.clear_header("x-a")
end)
plain("kong.response.add_header, clear", function()
  kresp.add_header("x-a", "1")
  kresp.clear_header("x-a")
end)
plain("kong.ctx.plugin", function() return kong.ctx.plugin end)
plain("kong.node.get_id", function() return kong.node.get_id() end)
plain("kong.ip.is_trusted", function() return kong.ip.is_trusted("127.0.0.1") end)
plain("kong.table.merge", function() return kong.table.merge({ a = 1 }, { b = 2 }) end)
