local function show(...)
  local t = { ... }
  for i = 1, select("#", ...) do t[i] = tostring(t[i]) end
  ngx.say(table.concat(t, " | "))
end
for _, template in ipairs { "", "x", "[$0]", "$1$2", "${1}0", "$$", "$$0", "$9", "$", "a$", "$a", "${a}", "${1", "$-", "${}",
  "$1a", "$0$0" } do
  for _, opts in ipairs { "", "jo", "i" } do
    show(template, opts, ngx.re.sub("hello, World", "([a-z])([a-z]+)", template, opts))
    show(template, opts, ngx.re.gsub("hello, World", "([a-z])([a-z]+)", template, opts))
  end
end
for _, c in ipairs {
  { "abc", "", "-" }, { "abc", "x*", "-" }, { "", "", "-" }, { "", "x", "-" }, { "aabc", "aa|b|$", "-" }, { "äö", "", "-" },
  { "a b c", "\\s", "" }, { "foobar", "foo\\Kbar", "X" }, { "abc", "$", "!" }, { "a\nb", "^", "> ", "m" },
  { 1234, "2", "x" }, { nil, "n", "m" }, { "a1", "1", 2 }, { "a1", "1", true },
} do
  show(ngx.re.gsub(c[1], c[2], c[3], c[4]))
  show(ngx.re.sub(c[1], c[2], c[3], c[4]))
  show(ngx.re.gsub(c[1], c[2], function(m) return "<" .. m[0] .. ">" end, c[4]))
  show(ngx.re.sub(c[1], c[2], function() return nil end, c[4]))
end
show(pcall(ngx.re.gsub, "a", "a", function() error("mine", 0) end))
show((pcall(ngx.re.gsub, "a", "a", function() end)))
show(ngx.re.gsub("ab", "[a-z]", function(m)
  ngx.sleep(0.001)
  return (ngx.re.gsub(m[0], ".", "$0$0", "jo"))
end, "jo"))
local split = require("ngx.re").split
for _, c in ipairs {
  { "a,b,c,d", "," }, { "a,b,c", ",", "jo", nil, 2 }, { "a,b", ",", nil, nil, 1 }, { ",a,b,,", "," }, { "a,b,,", ",", nil, nil, 3 },
  { "abc", "" }, { "abc", "", nil, nil, 2 }, { ",,,", "," }, { "a,b,c", "(,)" }, { "a,b,c", "(,)", nil, nil, 2 }, { "", "," },
  { "a,b,c", ",", nil, { pos = 3 } }, { "abc", ",", nil, { pos = 9 } }, { 1.2, "\\." }, { "a\nb\nc", "^", "m" },
  { "a\nb\nc", "^()", "m" }, { "abcabc", "a", nil, {}, -1 },
} do
  local t = split(c[1], c[2], c[3], c[4], c[5])
  show(#t, unpack(t))
end
local t, err = split("a", "(")
show(t, err and "error")
show((pcall(split, "a", ",", nil, nil, nil, 1)))
