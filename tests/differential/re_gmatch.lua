for _, case in ipairs({
  { "a1b22", "([a-z])([0-9]+)", "jo" },
  { "ab", "x*" },
  { "", "x*" },
  { "one two", "(?<w>[a-z]+)" },
  { "aXbX", "[a-z]", "i" },
}) do
  local n = 0
  for m in ngx.re.gmatch(case[1], case[2], case[3]) do
    n = n + 1
    ngx.say(n, " ", m[0], " ", m[1], " ", m[2], " ", m.w)
  end
  ngx.say("that was ", n)
end
for _, replacement in ipairs({ "[$0]", "${1}x", "$$", "$1$2$3", "plain", "" }) do
  ngx.say(ngx.re.gsub("hello, world", "([a-z])([a-z]+)", replacement))
  ngx.say(ngx.re.sub("hello, world", "([a-z])([a-z]+)", replacement, "jo"))
end
ngx.say(ngx.re.gsub("abc", "", "-"))
ngx.say(ngx.re.gsub("foobar", "foo\\Kbar", "X"))
ngx.say(ngx.re.gsub("x", "y", "z"))
ngx.say(ngx.re.gsub("a.b", "\\.", function(m) return "<" .. m[0] .. ">" end))
ngx.say((ngx.re.sub("a", "a", "$x")))
local it, err = ngx.re.gmatch("x", "(")
ngx.say(it, " ", err ~= nil)
