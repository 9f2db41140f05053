-- request: GET /conditional
-- header: If-None-Match: *
ngx.header["X-Kept"] = "1"
ngx.say("the whole")
