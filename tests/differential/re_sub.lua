ngx.say(ngx.re.sub("hello, 1234", "([0-9])[0-9]", "[$0][$1]"))
ngx.say(ngx.re.sub("hello, 1234", "[0-9]", "${0}00"))
ngx.say(ngx.re.sub("hello, 1234", "[0-9]", "$$1"))
ngx.say(ngx.re.gsub("hello, world", "([a-z])[a-z]+", "[$0,$1]", "i"))
ngx.say(ngx.re.gsub("hello, world", "[a-z]+", function(m) return "<" .. m[0]:upper() .. ">" end, "jo"))
ngx.say(ngx.re.gsub("abc", "", "-"))
ngx.say(ngx.re.gsub("abc", "x*", "-"))
ngx.say(ngx.re.gsub("a.b.c", "\\.", "/"))
ngx.say(ngx.re.gsub("none", "x", "y"))
ngx.say(ngx.re.sub("aaa", "a", ""))
ngx.say(ngx.re.gsub("a b", "(\\w) (\\w)", "$2 $1"))
ngx.say(ngx.re.gsub("a b", "(\\w) (\\w)(x)?", "$2[$3]$1"))
ngx.say((ngx.re.sub("a", "(", "b")))
local it, err = ngx.re.gmatch("hello, world! 12", "([a-z]+)|(\\d+)", "i")
while true do
  local m
  m, err = it()
  if not m then break end
  ngx.say(m[0], " ", m[1], " ", m[2])
end
ngx.say(err)
for m in ngx.re.gmatch("aXbXc", "X*") do ngx.print("[", m[0], "]") end
ngx.say("")
