-- request: GET /old
-- version: 1.0
ngx.say("one")
ngx.header["X-Late"] = "still"
local sent = ngx.headers_sent
local ok, err = ngx.flush(true)
ngx.say(sent, " ", ok, " ", err)
ok, err = ngx.flush()
ngx.say(ok, " ", err)
ok, err = ngx.send_headers()
ngx.say(ok, " ", err, " ", ngx.headers_sent)
ngx.status = 202
ngx.say(ngx.status)
ok, err = ngx.eof()
sent = ngx.headers_sent
ngx.header["X-Later"] = tostring(ok) .. tostring(err) .. tostring(sent)
