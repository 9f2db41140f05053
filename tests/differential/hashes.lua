local function hex(s)
  return (s:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end
for _, s in ipairs { "", "a", "hello world", ("x"):rep(1000), "\0\1\2" } do
  ngx.say(ngx.md5(s), " ", hex(ngx.md5_bin(s)), " ", hex(ngx.sha1_bin(s)), " ", ngx.crc32_short(s), " ",
    ngx.crc32_long(s), " ", hex(ngx.hmac_sha1("key", s)))
end
ngx.say(ngx.md5(nil), " ", ngx.md5(12), " ", hex(ngx.sha1_bin(nil)))
