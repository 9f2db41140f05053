-- request: POST /body
-- header: Content-Type: application/x-www-form-urlencoded
-- body: a=1&b=x%20y&a=2&flag
ngx.say(ngx.req.get_body_data())
ngx.req.read_body()
ngx.say(ngx.req.get_body_data(), " ", ngx.req.get_body_file(), " ", ngx.var.request_body)
local t = ngx.req.get_post_args()
ngx.say(table.concat(t.a, ","), " ", t.b, " ", t.flag, " ", t.none)
local u, err = ngx.req.get_post_args(1)
ngx.say(type(u.a), " ", u.b, " ", err)
ngx.req.set_body_data("new=1")
ngx.say(ngx.req.get_body_data(), " ", ngx.req.get_post_args().new, " ", ngx.var.http_content_length)
ngx.req.read_body()
ngx.say(ngx.req.get_body_data())
