-- request: GET /a
-- header: x-MY-header: 1
-- header: X-Usual: 2
local h = ngx.header
h["x-lower"] = 1
h["X-UPPER"] = 2
h["x-MiXed-Case"] = { 3, 4 }
h.x_under_score = 5
h["X-Twice"] = 6
h["x-twice"] = 7
h["x-GONE"] = 8
h["x-gone"] = nil
h.x_Late = 9
ngx.resp.add_header = ngx.resp.add_header or require("ngx.resp").add_header
ngx.resp.add_header("x-added", "10")
local function names(t)
  local all = {}
  for n in pairs(t) do
    if n:lower():find("^x%-") and not n:lower():find("^x%-chunk") then all[#all + 1] = n end
  end
  table.sort(all)
  return table.concat(all, " ")
end
ngx.say(names(ngx.resp.get_headers(0, true)))
ngx.say(names(ngx.resp.get_headers(0)))
ngx.say(names(ngx.req.get_headers(0, true)))
ngx.req.set_header("x-SET-it", "1")
ngx.req.set_header("X-my-HEADER", "1")
ngx.say(names(ngx.req.get_headers(0, true)))
ngx.say(ngx.header["X-LOWER"], ngx.header["x-upper"], ngx.header["X-UPPER"])
