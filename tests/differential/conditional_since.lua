-- request: GET /conditional
-- header: If-Modified-Since: Thu, 18 Nov 2010 11:27:35 GMT
ngx.header["ETag"] = '"a"'
ngx.header["Last-Modified"] = "Thu, 18 Nov 2010 11:27:35 GMT"
ngx.header["X-Kept"] = "1"
ngx.say("the whole")
