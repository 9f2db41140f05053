-- nginx's Lua module here has PCRE 8: where it words errors its own way, only their being there counts
local function show(...)
  local t = { ... }
  for i = 1, select("#", ...) do t[i] = tostring(t[i]) end
  ngx.say(table.concat(t, " | "))
end
local function dump(m, err)
  if not m then
    return show("no", m, err and "error")
  end
  local parts = {}
  for i = 0, 4 do parts[#parts + 1] = tostring(m[i]) end
  for k, v in pairs(m) do
    if type(k) == "string" then
      parts[#parts + 1] = k .. "=" .. (type(v) == "table" and table.concat(v, "+") or tostring(v))
    end
  end
  show(unpack(parts))
end
for _, c in ipairs {
  { "hello", "he|hello|hell", "d" }, { "hello, 1234", "([0-9])([0-9]+)", "d" }, { "hello", "z", "do" },
  { "hello", "(?<c>h)(?<c>e)|(?<c>x)", "D" }, { "hello", "(?<c>h)(?<c>e)", "" }, { "z", "(?<c>x)?z", "D" },
  { "]", "[]", "J" }, { "x", "[^]", "J" }, { "A", "\\u0041", "J" }, { "b", "(a)?\\1b", "J" }, { "b", "^(a)?\\1b" },
  { "\255 x", "x", "u" }, { "\228", ".", "u" }, { "äx", "^.x", "U" }, { "a\0b", "a.b" }, { "x", "(" }, { "x", "a{2,1}" },
  { "abc", "b", "a" }, { "abc", "B # c", "ix" }, { "a\nb", "^b", "jom" },
} do
  dump(ngx.re.match(c[1], c[2], c[3]))
  dump(ngx.re.match(c[1], c[2], (c[3] or "") .. "o"))
  local from, to, err = ngx.re.find(c[1], c[2], c[3])
  show(from, to, err and "error")
end
for _, nth in ipairs { -1, 0, 1, 2, 3, 4 } do
  show(ngx.re.find("hello, 1234", "([0-9])([0-9]+)(x)?", "jo", nil, nth))
end
for _, pos in ipairs { -1, 0, 1, 3, 4, 5 } do
  local ctx = { pos = pos }
  show(pos, ngx.re.find("abab", "b", "jo", ctx))
  show(ctx.pos)
end
show((select(2, ngx.re.match("ab", "b", "", { pos = 9 }))) and "error")
local res = { 1, 2, 3, 4, x = 5 }
dump(ngx.re.match("ab", "(a)", "", nil, res))
show(res[2], res[3], res[4], res.x)
for _, f in ipairs { "match", "find", "gmatch" } do
  for _, args in ipairs { { "a", "a", "z" }, { "a", "a", 1 }, { "a" }, { nil, "nil" }, { 12, "1" }, { "a", "a", "", 1 },
    { "a", 1 }, { "a", 1, "o" }, { true, "t" } } do
    local ok, e = pcall(ngx.re[f], unpack(args, 1, 4))
    show(f, ok, ok and type(e) or (tostring(e):gsub("^[^:]+:%d+: ", ""):gsub("'[%w_]+'", "NAME")))
  end
end
