-- request: GET /redirect?x=1
ngx.header["X-Kept"] = "1"
ngx.exit(ngx.HTTP_NO_CONTENT)
