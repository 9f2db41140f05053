local function dump(t, err)
  if type(t) ~= "table" then
    return ngx.say(tostring(t), " ", tostring(err))
  end
  local keys, out = {}, {}
  for k in pairs(t) do keys[#keys + 1] = k end
  table.sort(keys)
  for _, k in ipairs(keys) do
    local v = t[k]
    if type(v) == "table" then
      for i = 1, #v do v[i] = tostring(v[i]) end
      v = table.concat(v, ",")
    end
    out[#out + 1] = k .. "=" .. tostring(v)
  end
  ngx.say(table.concat(out, " & "), " ", tostring(err))
end
for _, s in ipairs { "", "a", "a=", "=a", "a=1", "a=1&", "&a=1", "a=1&&b=2", "a&a=2&a", "a=b=c", "a%20b=c+d", "%3D=%26", "a;b", "=&=", "a=1&b=2&c=3" } do
  for _, max in ipairs { -1, 0, 1, 2, 3 } do
    ngx.print(s, " ", max, ": ")
    dump(ngx.decode_args(s, max))
  end
  ngx.req.set_uri_args(s)
  for _, max in ipairs { 0, 1, 2, 3 } do
    ngx.print(s, " uri ", max, ": ")
    dump(ngx.req.get_uri_args(max))
  end
end
dump(ngx.decode_args(("a=1&"):rep(150)))
local function try(...)
  local ok, r = pcall(ngx.encode_args, ...)
  ngx.say(tostring(ok), " ", ok and r or (tostring(r):gsub("^[^:]+:%d+: ", ""):gsub("'[%w_?]+'", "NAME")))
end
try({})
try({ a = 1 })
try({ a = "x y&z=" })
try({ a = true })
try({ a = false })
try({ a = {} })
try({ a = { 1, "b c", true, false, 3 } })
try({ a = { {} } })
try({ a = { function() end } })
try({ a = function() end })
try({ [1] = 2 })
try({ ["a b"] = "" })
try()
try("x")
try({}, {})
