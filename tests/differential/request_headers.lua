-- header: X-One: 1
-- header: x-Two: a
-- header: X-two: b
-- header: Foo_Bar-Baz: u
-- header: X-Empty:
-- header: Cookie: a=1; b=2
-- header: Accept: text/html
local function dump(t)
  local keys = {}
  for k in pairs(t) do keys[#keys + 1] = k end
  table.sort(keys)
  for _, k in ipairs(keys) do
    local v = t[k]
    if k ~= "host" and k ~= "Host" and k ~= "x-chunk" and k ~= "X-Chunk" then
      ngx.say(k, " = ", type(v) == "table" and table.concat(v, ",") or v, " ", type(v))
    end
  end
end
local h = ngx.req.get_headers()
dump(h)
ngx.say(h.x_one, " ", h["X-ONE"], " ", h["x-one"], " ", h.none)
dump(ngx.req.get_headers(100, true))
local _, err = ngx.req.get_headers(2)
ngx.say(err)
ngx.say(ngx.var.http_x_one, " ", (ngx.var.http_x_two:match("^a")), " ", ngx.var.http_none, " ", ngx.var.cookie_a, " ",
  ngx.var.cookie_b, " ", ngx.var.cookie_c, " ", ngx.var.http_cookie)
ngx.req.set_header("X-New", "n")
ngx.req.set_header("X-Many", { "a", "b" })
ngx.req.set_header("x-one", 2)
ngx.req.set_header("X-Two", nil)
ngx.req.clear_header("accept")
ngx.req.set_header("X-Gone", "1")
ngx.req.set_header("X-Gone", {})
h = ngx.req.get_headers()
dump(h)
ngx.say(ngx.var.http_x_new, " ", (ngx.var.http_x_many:match("^a")), " ", ngx.var.http_x_one, " ", ngx.var.http_accept)
ngx.say((pcall(ngx.req.set_header, nil, "a")))
ngx.req.set_header("X-Split", "a\r\nX-Injected: 1")
ngx.say(ngx.var.http_x_split, " ", ngx.var.http_x_injected)
