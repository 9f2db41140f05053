-- request: GET /args?a=1&b=x%20y&a=2&flag&empty=&p=a+b&%C3%A4=1
local function dump(t)
  local keys = {}
  for k in pairs(t) do keys[#keys + 1] = k end
  table.sort(keys)
  for _, k in ipairs(keys) do
    local v = t[k]
    ngx.say(k, " = ", type(v) == "table" and table.concat(v, ",") or v, " ", type(v))
  end
end
dump(ngx.req.get_uri_args())
local t, err = ngx.req.get_uri_args(2)
ngx.say(err)
dump(t)
ngx.say(ngx.var.arg_a, " ", ngx.var.arg_b, " ", ngx.var.arg_flag, "|", ngx.var.arg_empty, "|", ngx.var.arg_none)
ngx.say(ngx.var.args, " ", ngx.var.query_string, " ", ngx.var.is_args, " ", ngx.var.request_uri, " ", ngx.var.uri)
ngx.req.set_uri_args("x=1&y=2")
ngx.say(ngx.var.args)
dump(ngx.req.get_uri_args())
ngx.req.set_uri_args({ z = { "a b", 2 } })
ngx.say(ngx.var.args)
ngx.req.set_uri_args({})
ngx.say(ngx.var.args, "|", ngx.var.is_args, "|")
ngx.say((pcall(ngx.req.set_uri_args, nil)))
