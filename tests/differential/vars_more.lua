-- request: GET /v%20w?a=1&B=2&empty=&c%20d=5&flag
-- header: X-Multi: a
-- header: Cookie: Aa=1; bb="q"; cc=; dd
-- header: Authorization: Basic dXNlcjpwYXNz
-- header: X-Forwarded-For: 1.1.1.1
-- header: X-Forwarded-For: 2.2.2.2
local l = {}
local function show(v) return (tostring(v):gsub("^[^ ]*%.lua:%d+: ", "")) end
local function say(...) local t = {...} for i = 1, select("#", ...) do t[i] = show(t[i]) end l[#l+1] = table.concat(t, " ") end
local v = ngx.var
for _, n in ipairs { "args", "ARGS", "query_string", "is_args", "uri", "document_uri", "request_uri", "request_method", "request", "scheme", "https", "host", "http_host",
  "server_protocol", "remote_user", "remote_addr", "http_x_multi", "http_X_Multi", "http_cookie", "http_x_forwarded_for", "arg_a", "arg_A", "arg_b", "arg_empty", "arg_flag", "arg_none", "arg_c_d",
  "cookie_aa", "cookie_Aa", "cookie_AA", "cookie_bb", "cookie_cc", "cookie_dd", "content_length", "content_type", "request_body", "request_body_file", "request_completion",
  "status", "body_bytes_sent", "bytes_sent", "sent_http_x_a", "upstream_addr", "upstream_status", "upstream_http_x", "upstream_cookie_x", "upstream_trailer_x", "upstream_response_time", "upstream_connect_time", "upstream_header_time",
  "upstream_response_length", "upstream_bytes_received", "upstream_bytes_sent", "upstream_cache_status", "sent_trailer_x", "limit_rate", "pipe", "http_", "arg_", "cookie_", "nothing", "proxy_protocol_addr", "gzip_ratio", "http_none", "proxy_host", "proxy_port", "limit_req_status", "uid_got" } do say(n, v[n]) end
for _, n in ipairs { "connection_requests", "binary_remote_addr", "server_port", "server_addr", "remote_port", "pid", "msec", "time_iso8601", "time_local", "request_time", "request_length", "request_id", "connection", "nginx_version", "hostname", "connection_time", "server_name" } do say(n, type(v[n])) end
say(v[1], v[0], v[-1], v[99])
say(pcall(function() return v[nil] end)) say(pcall(function() return v[{}] end)) say(pcall(function() return v[true] end))
say(pcall(function() v[1] = 1 end)) say(pcall(function() v[{}] = 1 end))
local function set(n, val) say(n, pcall(function() v[n] = val end)) end
for _, n in ipairs { "uri", "nothing", "http_x", "http_host", "http_cookie", "http_user_agent", "http_referer", "http_via", "http_x_forwarded_for", "arg_a", "cookie_a", "sent_http_x", "sent_http_content_type", "sent_http_location", "sent_http_content_length", "sent_http_last_modified", "sent_http_connection", "sent_http_keep_alive", "sent_http_transfer_encoding", "sent_http_cache_control", "sent_http_link", "upstream_addr", "upstream_http_x", "upstream_cookie_x", "sent_trailer_x", "upstream_trailer_x", "request_method", "status", "REQUEST_URI", "host", "server_name", "request_id", "is_args", "query_string", "document_root", "realip_remote_addr", "ssl_protocol", "remote_addr", "binary_remote_addr", "connection", "msec", "pid", "hostname", "bytes_sent", "body_bytes_sent", "request_body", "request_time", "nginx_version", "http2", "limit_req_status" } do set(n, "x") end
set("args", "n=1") say(v.args, v.query_string, v.arg_n, v.is_args)
set("args", 5) say(v.args)
set("args", nil) say(v.args, v.is_args)
set("args", "") say(v.args, v.is_args)
ngx.header.x_a = "1" ngx.header.x_b = { "1", "2" } ngx.header.location = "/l" ngx.header.cache_control = { "a", "b" }
say(v.sent_http_x_a, v.sent_http_location, v.sent_http_cache_control)
ngx.header.location = nil ngx.header.cache_control = nil
ngx.say(table.concat(l, "\n"))
