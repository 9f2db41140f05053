-- request: POST /b
-- header: Content-Type: application/x-www-form-urlencoded
-- body: a=1&b=x%20y&a=2&flag
local l = {}
local function show(v) if type(v) == "table" then local t = {} for i, x in ipairs(v) do t[i] = tostring(x) end return "{" .. table.concat(t, ",") .. "}" end return (tostring(v):gsub("^[^ ]*%.lua:%d+: ", ""):gsub("to '[^']*'", "to it")) end
local function say(...) local t = {...} for i = 1, select("#", ...) do t[i] = show(t[i]) end l[#l+1] = table.concat(t, " ") end
local req = ngx.req
say(pcall(req.get_post_args)) say(pcall(req.set_body_data, "x")) say(pcall(req.set_body_file, "/nofile")) say(pcall(req.init_body))
say(pcall(req.append_body, "x")) say(pcall(req.finish_body))
say(pcall(req.read_body, 1)) say(pcall(req.get_body_file, 1))
say(pcall(req.discard_body, 1)) say(pcall(req.set_body_data)) say(pcall(req.set_body_data, "a", "b")) say(pcall(req.set_body_data, {}))
say(pcall(req.set_body_file)) say(pcall(req.set_body_file, 1, 2, 3))
req.read_body()
say(req.get_body_data())
say(pcall(req.get_post_args, 1, 2)) say(pcall(req.get_post_args, "a"))
local a, err = req.get_post_args(2) say(a.a, a.b, err)
local a, err = req.get_post_args(4) say(a.a, a.b, a.flag, err)
local a, err = req.get_post_args(0) say(a.a, a.b, a.flag, err)
local a, err = req.get_post_args(-1) say(a.a, a.b, a.flag, err)
req.discard_body() say(req.get_body_data())
req.set_body_data(12) say(req.get_body_data(), ngx.var.http_content_length, ngx.var.request_body)
req.set_body_data("") say(req.get_body_data(), ngx.var.http_content_length, ngx.var.request_body)
say(next(req.get_post_args()))
say(pcall(req.set_body_file, "/nofile/x")) say(pcall(req.set_body_file, "/etc/hostname", 1))
local name = os.tmpname()
local f = io.open(name, "w") f:write("from a file") f:close()
req.set_body_file(name) say(req.get_body_data(), req.get_body_file() == name, ngx.var.http_content_length, ngx.var.request_body_file == name)
say(req.get_post_args())
req.set_body_data("mem") say(req.get_body_data(), req.get_body_file(), ngx.var.http_content_length)
local f = io.open(name) say(f ~= nil) if f then f:close() end
req.set_body_file(name, true) say(ngx.var.http_content_length)
req.set_body_data("mem") local f = io.open(name) say(f ~= nil) if f then f:close() end
req.init_body() req.append_body("a") req.append_body(1) req.append_body("") req.finish_body() say(req.get_body_data(), ngx.var.http_content_length)
say(pcall(req.init_body, -1)) say(pcall(req.init_body, "x")) say(pcall(req.init_body, 0)) say(pcall(req.init_body, 1, 2))
req.init_body(3) req.append_body("abcdefgh") req.append_body("ij") req.finish_body()
say(req.get_body_data(), ngx.var.http_content_length, ngx.var.http_content_length)
local f = io.open(req.get_body_file()) say(f:read("*a")) f:close()
say(pcall(req.append_body)) say(pcall(req.finish_body, 1))
req.init_body(100) req.finish_body() say(req.get_body_data(), ngx.var.http_content_length)
os.remove(name)
ngx.say(table.concat(l, "\n"))
