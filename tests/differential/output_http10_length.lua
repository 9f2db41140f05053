-- request: GET /old
-- version: 1.0
ngx.header["Content-Length"] = 30
ngx.print("one ")
ngx.header["X-Late"] = "no more"
local ok, err = ngx.flush(true)
local text = tostring(ok) .. " " .. tostring(err) .. " " .. tostring(ngx.headers_sent)
ngx.print(text, string.rep(".", 26 - #text))
