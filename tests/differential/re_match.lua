local function dump(m, err)
  if not m then
    return ngx.say("  ", m, " ", err and "error")
  end
  local parts = {}
  for i = 0, 5 do parts[#parts + 1] = tostring(m[i]) end
  local names = {}
  for k, v in pairs(m) do
    if type(k) == "string" then names[#names + 1] = k .. "=" .. tostring(v) end
  end
  table.sort(names)
  ngx.say("  ", #m, " ", table.concat(parts, ","), " ", table.concat(names, ","))
end

for _, case in ipairs {
  { "hello, 1234", "[0-9]+" },
  { "hello, 1234", "([0-9])[0-9]+" },
  { "hello, 1234", "(.*?)([0-9]+)?x?$" },
  { "hello, 1234", "(a)|(h)", "jo" },
  { "hello, 1234", "(?<word>[a-z]+), (?<digits>\\d+)" },
  { "HELLO", "hello", "i" },
  { "HELLO", "hello" },
  { "a\nb", "^b$", "m" },
  { "a\nb", "a.b", "s" },
  { "a\nb", "a.b" },
  { "ab", "a b", "x" },
  { "äöü", "^...$", "u" },
  { "äöü", "^...$" },
  { "aaa", "a*?", "a" },
  { "baaa", "a", "a" },
  { "", "x*" },
  { "x", "(" },
  { "abc", "(?:a)(b)(c)?(d)?" },
  { "2024-01-02", "(\\d+)-(\\d+)-(\\d+)", "jo" },
} do
  ngx.say(case[1], " ~ ", case[2], " ", case[3])
  dump(ngx.re.match(case[1], case[2], case[3]))
end

local ctx = { pos = 3 }
dump(ngx.re.match("12 34 56", "\\d+", "", ctx))
ngx.say(ctx.pos)
dump(ngx.re.match("12 34 56", "\\d+", "jo", ctx))
ngx.say(ctx.pos)
ngx.say(ngx.re.find("hello, 1234 x", "([0-9]+)"))
ngx.say(ngx.re.find("hello, 1234 x", "([a-z]+), ([0-9]+)", "jo", nil, 2))
ngx.say(ngx.re.find("hello", "z"))
ngx.say(ngx.re.find("hello", "l", "jo", { pos = 4 }))
ngx.say((pcall(ngx.re.match, "a", "a", "y")))
