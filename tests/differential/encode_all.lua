local function show(...)
  local t = { ... }
  for i = 1, select("#", ...) do t[i] = (tostring(t[i]):gsub("[^\32-\126]", function(c) return ("\\x%02x"):format(c:byte()) end)) end
  ngx.say(table.concat(t, " | "))
end
local function try(f, ...)
  local r = { pcall(f, ...) }
  if not r[1] then
    r[2] = tostring(r[2]):gsub("^[^:]+:%d+: ", ""):gsub("'[%w_?]+'", "NAME")
  elseif type(r[2]) == "table" then
    r[2] = next(r[2])
  end
  show(unpack(r, 1, 3))
end
local all = {}
for i = 0, 255 do all[#all + 1] = string.char(i) end
all = table.concat(all)
for kind = 0, 6 do
  show(kind, ngx.escape_uri(all, kind))
end
show(ngx.escape_uri(all), ngx.unescape_uri(ngx.escape_uri(all)) == all)
for _, s in ipairs { "a%20b+c", "%", "%4", "%zz%41", "a%00b", "%E4%f6", "" } do
  show(s, ngx.unescape_uri(s))
end
for _, kind in ipairs { -1, 7, "x", true } do
  try(ngx.escape_uri, "a b", kind)
end
local junk = { "x", 12, 1.5, true, false, {} }
for _, name in ipairs { "md5", "md5_bin", "sha1_bin", "crc32_short", "crc32_long", "escape_uri", "unescape_uri", "encode_base64",
  "decode_base64", "quote_sql_str", "encode_args", "decode_args", "hmac_sha1" } do
  for i = 1, 5 do
    ngx.print(name, " ")
    try(ngx[name], junk[i])
  end
  ngx.print(name, " ")
  try(ngx[name], nil)
  ngx.print(name, " ")
  try(ngx[name], "a", "b", "c")
end
for _, s in ipairs { "", "a", "ab", "abc", all } do
  show(ngx.encode_base64(s), ngx.encode_base64(s, true), ngx.decode_base64(ngx.encode_base64(s)) == s,
    ngx.decode_base64(ngx.encode_base64(s, true)) == s)
end
for _, s in ipairs { "YQ", "YQ=", "YQ==", "YQ==xx", "YWI", "YWJj", "Y", "YW Jj", "YWJj\n", "YR==", "=", "====", "Y=Q", "-_", "+/" } do
  show(s, ngx.decode_base64(s))
end
try(ngx.encode_base64, "a", 1)
try(ngx.encode_base64, "a", "x")
try(ngx.encode_base64, "a", false)
for _, s in ipairs { "", "a'b\"c\\d\n\r\t\0\b\26e", "ä" } do
  show(ngx.quote_sql_str(s))
end
local b64 = require "ngx.base64"
for _, s in ipairs { "", "a", "ab", all } do
  show(b64.encode_base64url(s), b64.decode_base64url(b64.encode_base64url(s)) == s)
end
show(b64.encode_base64url(1))
show(b64.decode_base64url({}))
show(b64.decode_base64url("a"))
show(b64.decode_base64url("YQ=="))
show(b64.decode_base64url("Y+Q"))
