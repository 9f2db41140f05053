for _, s in ipairs { "", "a", "ab", "abc", "abcd", "\0\255\254", "å∫ç" } do
  local e = ngx.encode_base64(s)
  ngx.say(e, " ", ngx.encode_base64(s, true), " ", ngx.decode_base64(e) == s)
end
for _, s in ipairs { "YQ==", "YQ=", "YQ", "Y", "!!!!", "YWJj\n", "YW Jj", "_-8=", "====" } do
  ngx.say(s, " ", tostring(ngx.decode_base64(s)))
end
ngx.say(ngx.encode_base64(12), " ", ngx.encode_base64(nil), "|")
ngx.say(pcall(ngx.decode_base64, 1))
ngx.say(pcall(ngx.decode_base64, nil))
