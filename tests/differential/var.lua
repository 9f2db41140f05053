-- request: GET /var/x?q=1
-- header: Host: Shop.Test:81
-- header: User-Agent: agent/1
-- header: Referer: http://r/
-- header: Content-Type: text/x
local v = ngx.var
for _, name in ipairs { "host", "http_host", "scheme", "uri", "request_uri", "args", "is_args", "request_method",
  "server_protocol", "remote_addr", "http_user_agent", "http_referer", "content_type", "content_length",
  "request", "arg_q", "https", "remote_user", "nothing_like_this", "http_nothing", "request_length_none" } do
  ngx.say(name, " = ", v[name], " ", type(v[name]))
end
ngx.say(v.remote_port:match("^%d+$") ~= nil, " ", v.connection:match("^%d+$") ~= nil, " ", v.connection_requests,
  " ", v.pid:match("^%d+$") ~= nil, " ", v.msec:match("^%d+%.%d%d%d$") ~= nil)
ngx.say((pcall(function() v.nothing_like_this = "x" end)))
ngx.say((pcall(function() return v[{}] end)))
ngx.say(#v.request_id, " ", v.request_id:match("^%x+$") ~= nil)
ngx.say(v.request_time:match("^%d+%.%d%d%d$") ~= nil, " ", tonumber(v.request_length) > 50)
