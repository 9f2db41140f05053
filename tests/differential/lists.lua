-- request: GET /lists?a=1&b=x%20y&a=2&flag&empty=&=no&p=a+b&%41=3&flag=4
-- header: X-One: 1
-- header: X-Two: a
-- header: x-two: b
-- header: X-TWO: c
-- header: X-Empty:
-- Lists of headers and arguments, often enough to be compiled: the last time must be as the first.
local function dump(name, t, err)
  local keys = {}
  for k in pairs(t) do keys[#keys + 1] = k end
  table.sort(keys)
  for i, k in ipairs(keys) do
    local v = t[k]
    if type(v) == "table" then
      for n = 1, #v do v[n] = tostring(v[n]) end
      v = table.concat(v, ",")
    end
    keys[i] = k .. "=" .. tostring(v)
  end
  return name .. " " .. tostring(err) .. " " .. table.concat(keys, " ")
end

local into = {}
local lists = {
  { "headers", function() return ngx.req.get_headers() end },
  { "raw", function() return ngx.req.get_headers(0, true) end },
  { "two", function() return ngx.req.get_headers(2) end },
  { "args", function() return ngx.req.get_uri_args() end },
  { "three", function() return ngx.req.get_uri_args(3) end },
  { "all", function() return ngx.req.get_uri_args(0) end },
  { "into", function() into.left = true return ngx.req.get_uri_args(10, into) end },
  { "decoded", function() return ngx.decode_args("a&b=%zz&b=2&c=a%2", 10) end },
  { "short", function() return ngx.decode_args("a=1&b=2&c=3", 2) end },
  { "none", function() return ngx.decode_args("") end },
}
for _, list in ipairs(lists) do
  local first = dump(list[1], list[2]())
  for i = 1, 200 do
    local again = dump(list[1], list[2]())
    if again ~= first then
      ngx.say("number ", i, ": ", again)
    end
  end
  ngx.say(first)
end
local headers = ngx.req.get_headers()
ngx.say(headers.X_Two[3], " ", headers["X-ONE"], " ", tostring(headers.x_none), " ", tostring(headers[1]))
