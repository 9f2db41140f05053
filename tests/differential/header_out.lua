local l = {}
local function show(v) if type(v) == "table" then local t = {} for i, x in ipairs(v) do t[i] = tostring(x) end return "{" .. table.concat(t, ",") .. "}" end return tostring(v) end
local function say(...) local t = {...} for i = 1, select("#", ...) do t[i] = show(t[i]) end l[#l+1] = table.concat(t, " ") end
local h = ngx.header
say(h["Content-Length"], h.nothing)
h.x_one = "1" say(h["X-One"], h.x_one, h["x-ONE"])
h["X-List"] = { "a", 2, true } say(h.x_list)
h["X-List"] = "only" say(h.x_list)
h["X-List"] = {} say(h.x_list)
h["X-Empty"] = "" say(h["X-Empty"])
h["X-Bool"] = false say(h["X-Bool"])
h[12] = 34 say(h[12], h["12"])
h[12] = nil say(h[12])
h["Cache-Control"] = { "a", "b" } say(h.cache_control)
h["Cache-Control"] = "c" say(h.cache_control)
h["Set-Cookie"] = { "a=1", "b=2" } say(h.set_cookie)
h["Set-Cookie"] = nil say(h.set_cookie)
h["Location"] = { "http://a", "http://b" } say(h.location)
h.Location = nil say(h.location)
h["ETag"] = { '"a"', '"b"' } say(h.etag)
h.etag = nil
h["Last-Modified"] = "Thu, 18 Nov 2010 11:27:35 GMT" say(h.last_modified)
h["Last-Modified"] = "junk" say(h.last_modified)
h["Last-Modified"] = nil say(h.last_modified)
h["Content-Type"] = { "text/a", "text/b" } say(h.content_type)
h["Content-Type"] = nil say(h.content_type)
h["Content-Type"] = "text/x" say(h.content_type)
h["Expires"] = { "1", "2" } say(h.expires) h.expires = nil
h["Content-Encoding"] = "x" say(h.content_encoding) h.content_encoding = nil
h["Server"] = nil
h["Link"] = { "a", "b" } say(h.link) h.link = nil
h["X-Ctl"] = "a\r\nb\0c\td" say(h["X-Ctl"])
h["X Odd:Name"] = "v" say(h["X Odd:Name"])
h["X Odd:Name"] = nil
say((select(2, pcall(function() h["Content-Length"] = "abc" end)):gsub("^[^ ]*%.lua:%d+: ", "")))
say(h["Content-Length"])
h["Content-Length"] = nil
local t, err = ngx.resp.get_headers()
local keys = {} for k, v in pairs(t) do keys[#keys+1] = k .. "=" .. show(v) end table.sort(keys)
for i, k in ipairs(keys) do if not k:find("^server") and not k:find("^date") and not k:find("^connection") then say(k) end end
say(err, t.x_one, t["X-One"], t.X_ONE)
for i = 1, 5 do h["X-N" .. i] = i end
say((select(2, ngx.resp.get_headers(2))))
local t, err = ngx.resp.get_headers(0, true) say(t["X-N1"], t["x-n1"], err, getmetatable(t))
say((tostring(select(2, pcall(ngx.resp.get_headers, "a"))):gsub("to '[^']*'", "to it")))
for i = 1, 5 do h["X-N" .. i] = nil end
h.x_ctl = nil
ngx.say(table.concat(l, "\n"))
