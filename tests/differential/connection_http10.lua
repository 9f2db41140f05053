-- request: GET /a
-- version: 1.0
local v = ngx.var
local h = ngx.resp.get_headers()
ngx.say(v.sent_http_connection, " ", v.sent_http_keep_alive, " ", v.sent_http_transfer_encoding)
ngx.say(h.connection, " ", h["keep-alive"], " ", h["transfer-encoding"], " ", ngx.header.connection)
ngx.req.set_header("Connection", "keep-alive")
ngx.say(v.sent_http_connection, " ", v.http_connection)
ngx.req.clear_header("Connection")
ngx.say(v.sent_http_connection, " ", v.http_connection)
ngx.status = 201
ngx.say(v.sent_http_connection, " ", ngx.resp.get_headers().connection)
