local function sorted(s)
  local parts = {}
  for p in s:gmatch("[^&]+") do parts[#parts + 1] = p end
  table.sort(parts)
  return table.concat(parts, "&")
end

ngx.say(ngx.encode_args({ a = "1 2" }))
ngx.say(sorted(ngx.encode_args({ a = 1, b = true, c = "x/y", ["d e"] = "f&g" })))
ngx.say(ngx.encode_args({ a = { 1, "b", true } }))
ngx.say(ngx.encode_args({ a = false }), "|", ngx.encode_args({}), "|", ngx.encode_args({ a = {} }))
ngx.say(pcall(ngx.encode_args, { a = { { } } }))
ngx.say(pcall(ngx.encode_args, { a = function() end }))

local function dump(t)
  local keys = {}
  for k in pairs(t) do keys[#keys + 1] = k end
  table.sort(keys)
  for _, k in ipairs(keys) do
    local v = t[k]
    if type(v) == "table" then
      local parts = {}
      for i, x in ipairs(v) do parts[i] = tostring(x) end
      v = "{" .. table.concat(parts, ",") .. "}"
    end
    ngx.say("  [", k, "] = ", v, " ", type(t[k]))
  end
end

for _, s in ipairs { "a=1&b=2&a=3", "a", "a=", "=a", "&&a=1&", "a%20b=c+d", "x[]=1&x[]=2", "a=b=c", "a&a&a=1" } do
  ngx.say(s)
  dump(ngx.decode_args(s))
end
local t, err = ngx.decode_args("a=1&b=2&c=3", 2)
ngx.say(err)
dump(t)
