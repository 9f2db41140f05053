local l = {}
local function try(f, ...) 
  local t = { pcall(f, ...) }
  for i = 1, 3 do t[i] = tostring(t[i]) end
  return table.concat(t, " ")
end
local function say(...) l[#l+1] = table.concat({...}) end
say(tostring(ngx.status))
say(try(function() ngx.status = "201" end), " ", ngx.status)
ngx.status = 203.7
say(ngx.status)
ngx.status = 299
say(tostring(ngx.is_subrequest))
local resp = require "ngx.resp"
say(try(resp.add_header, "X-A", nil))
say(try(resp.add_header, "X-A", {}))
say(try(resp.add_header, "X-A", { 1, true }))
say(try(resp.add_header, 5, 5))
say(tostring(ngx.header["X-A"][2]), ngx.header["5"])
ngx.header["5"] = nil
ngx.say(table.concat(l, "\n"))
