local function show(name, f, ...)
  local res = { pcall(f, ...) }
  for i = 1, #res do res[i] = tostring(res[i]) end
  ngx.say(name, ": ", table.concat(res, " | "))
end

local all = {}
for i = 0, 255 do all[#all + 1] = string.char(i) end
all = table.concat(all)

show("escape all", ngx.escape_uri, all)
show("escape uri", ngx.escape_uri, "a b/c?d=e&f#g+h%~é")
show("escape kind 0", ngx.escape_uri, "a b/c?d=e&f#g+h%~", 0)
show("escape kind 2", ngx.escape_uri, "a b/c?d=e&f#g+h%~", 2)
show("escape number", ngx.escape_uri, 12.5)
show("escape nil", ngx.escape_uri, nil)
show("unescape", ngx.unescape_uri, "a+b%20c%2fd%zz%4")
show("unescape plus", ngx.unescape_uri, "%2B+%2b")
show("round trip", function() return ngx.unescape_uri(ngx.escape_uri(all)) == all end)
show("quote", ngx.quote_sql_str, "it's \"a\"\n\0\r\t\b\26\\")
