ngx.status = 418
ngx.header["X-Kept"] = "yes"
ngx.print("body")
pcall(function() ngx.exit(ngx.HTTP_OK) end)
ngx.print("never")
