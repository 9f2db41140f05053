-- request: POST /b
-- header: Content-Type: application/x-www-form-urlencoded
-- body: a=1&b=x%20y&a=2&flag
local l = {}
local function say(...) local t = {...} for i = 1, select("#", ...) do t[i] = (tostring(t[i]):gsub("^[^ ]*%.lua:%d+: ", "")) end l[#l+1] = table.concat(t, " ") end
ngx.req.discard_body()
say(ngx.req.get_body_data(), ngx.req.get_body_file(), ngx.var.content_length, ngx.var.http_content_length)
ngx.req.read_body()
say(ngx.req.get_body_data())
say(pcall(ngx.req.discard_body))
ngx.say(table.concat(l, "\n"))
