local function try(f, ...)
  local ok, r = pcall(f, ...)
  ngx.say(tostring(ok), " ", ok and tostring(r) or (tostring(r):gsub("^[^:]+:%d+: ", "")))
end
for _, f in ipairs { "http_time", "cookie_time" } do
  for _, t in ipairs { 0, 1, 1.9, 86399, 951782400, 2147483647, 2145916799, 2145916800, 4102444800, "x", "12", true, {} } do
    try(ngx[f], t)
  end
  try(ngx[f])
end
for _, s in ipairs { "Thu, 18 Nov 2010 11:27:35 GMT", "Thursday, 18-Nov-10 11:27:35 GMT", "Thu Nov 18 11:27:35 2010",
  "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "", "x", "Thu, 18 Nov 2010", "Thu, 31 Feb 2010 11:27:35 GMT",
  "Thu, 18 Xyz 2010 11:27:35 GMT", "Thu, 18 Nov 2010 25:27:35 GMT", "Thu, 18 Nov 2010 11:27:35" } do
  try(ngx.parse_http_time, s)
end
try(ngx.parse_http_time, 12)
try(ngx.parse_http_time)
ngx.say(#ngx.today(), #ngx.localtime(), #ngx.utctime(), ngx.today() == ngx.localtime():sub(1, 10))
ngx.say(type(ngx.get_phase()), " ", tostring(ngx.is_subrequest), " ", ngx.config.subsystem, " ", type(ngx.config.debug),
  " ", type(ngx.config.nginx_version), type(ngx.config.ngx_lua_version), type(ngx.config.prefix()),
  type(ngx.config.nginx_configure()))
local time = require "resty.core.time"
local a = ngx.now()
ngx.say(a > 1e9, " ", time.monotonic_time and type(time.monotonic_time()) or "number", " ", tostring(ngx.null), " ",
  type(ngx.null))
