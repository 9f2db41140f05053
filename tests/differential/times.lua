for _, t in ipairs { 0, 1, 951782400, 1700000000, 2147483647, 4102444800 } do
  ngx.say(ngx.http_time(t), " | ", ngx.cookie_time(t), " | ", ngx.parse_http_time(ngx.http_time(t)))
end
for _, s in ipairs { "Thu, 18 Nov 2010 11:27:35 GMT", "Thursday, 18-Nov-10 11:27:35 GMT",
  "Thu Nov 18 11:27:35 2010", "nonsense", "", "18 Nov 2010" } do
  ngx.say(s, " -> ", ngx.parse_http_time(s))
end
local shape = function(s) return (tostring(s):gsub("%d", "9")) end
ngx.say(shape(ngx.today()), " ", shape(ngx.localtime()), " ", shape(ngx.utctime()))
ngx.say(type(ngx.now()), " ", type(ngx.time()), " ", ngx.time() == math.floor(ngx.time()), " ",
  math.abs(ngx.now() - os.time()) < 3, " ", ngx.req.start_time() <= ngx.now())
ngx.update_time()
local before = ngx.now()
ngx.sleep(0.05)
ngx.say(ngx.now() - before >= 0.045, " ", ngx.now() - before < 1)
ngx.say(pcall(ngx.sleep, -1))
ngx.say((pcall(ngx.sleep, "x")))
