ngx.status = 203
ngx.header["X-One"] = "1"
ngx.header.x_two = "2"
ngx.header["X-Many"] = { "a", "b" }
ngx.header["X-Number"] = 3.5
ngx.header["X-Bool"] = true
ngx.header["X-Gone"] = "1"
ngx.header["X-Gone"] = nil
ngx.header["X-Empty"] = ""
ngx.header["X-Split"] = "a\r\nX-Injected: 1"
ngx.header.content_type = "text/x-own"
local many = ngx.header["x-many"]
local lines = {
  tostring(ngx.header["x-one"]), tostring(ngx.header.X_Two), type(many), table.concat(many, ","),
  tostring(ngx.header["x-number"]), tostring(ngx.header["x-bool"]), tostring(ngx.header["x-gone"]),
  tostring(ngx.header["x-none"]), tostring(ngx.header.content_type), tostring(ngx.status),
  tostring(ngx.var.sent_http_x_one), tostring(ngx.headers_sent),
}
local h = ngx.resp.get_headers()
lines[#lines + 1] = tostring(h["x-one"]) .. tostring(h.x_one) .. tostring(h["X-ONE"])
ngx.say(table.concat(lines, "\n"))
ngx.say(ngx.headers_sent)
