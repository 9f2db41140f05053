-- request: GET /a
local v = ngx.var
ngx.say(v.limit_rate, " ", type(v.limit_rate))
for _, value in ipairs { 1000000000, "5000000", "100000k", "100000K", "10m", "100M", "", "x", "1x", "-1", "1.5", " 1", "0x10",
  "99999999999999999999", "9223372036854775807", "9223372036854775807k", "k", "1g", "0" } do
  v.limit_rate = 77000000
  ngx.say(tostring(value), " ", pcall(function() v.limit_rate = value end), " ", v.limit_rate)
end
v.limit_rate = 77000000
ngx.say(pcall(function() v.limit_rate = nil end))
ngx.say(v.limit_rate)
ngx.say(v.limit_rate_after)
ngx.say(pcall(function() v.limit_rate_after = 1 end))
