local echo, shut = tonumber(ngx.var.http_x_echo), tonumber(ngx.var.http_x_shut)
local function say(...)
  local t = {}
  for i = 1, select("#", ...) do t[i] = tostring((select(i, ...))) end
  ngx.say(#t, ": ", table.concat(t, "|"))
end
local function over(port, text)
  local s = ngx.socket.tcp()
  s:settimeout(1000)
  assert(s:connect("127.0.0.1", port))
  if text then assert(s:send(text)) end
  return s
end

local s = over(echo, "one\r\nt\rwo\n\n12345rest")
say(s:receive())
say(s:receive("*l"))
say(s:receive("*l"))
say(s:receive(0))
say(s:receive(3))
say(s:receive("2"))
say(s:receive(1.9))
say(s:receiveany(2))
say(s:receiveany("9"))
say(s:receiveany(1.5))
s:settimeout(20)
say(s:receive())
say(s:receive("*a"))
say(s:receiveany(3))
say(s:receiveuntil("x")())
say(s:receive(4))
s:settimeout(1000)
s:send("partial")
s:settimeout(20)
say(s:receive(10))
say(s:receive(10))
say(s:close())
say(s:receive())
say(s:receiveany(1))
say(s:receiveuntil("x")())

s = over(shut, "abc\ndef")
say(s:receive("*l"))
say(s:receive("*a"))
say(s:receive("*a"))
say(s:receive("*l"))
say(s:receive("*l"))
say(s:getreusedtimes())
say(s:setkeepalive())
say(s:close())
say(s:close())

s = over(shut, "ab\rc")
say(s:receive("*l"))
say(s:receive("*l"))
s = over(shut, "abc")
say(s:receive(5))
s = over(shut, "abc")
say(s:receiveany(5))
say(s:receiveany(5))
say(s:receiveany(5))
s = over(shut, "xx--ab")
say(s:receiveuntil("--abc")())

s = over(echo, "hello, world -- -----rest--abcabdx")
say(s:receiveuntil("--")())
say(s:receiveuntil("---", { inclusive = false })())
say(s:receiveuntil("--", { inclusive = true })())
say(s:receiveuntil("--", { inclusive = true })())
say(s:receiveuntil("abcabd", { inclusive = nil })())
say(s:receiveuntil("")) 
say(s:receive(1))

for _, case in ipairs({
  { "hello, worldxmore", "x", 5 }, { "aaabaaaabaaabx", "aab", 2 }, { "--a---ab--", "--ab", 1 },
  { "ababababcx", "ababc", 3 }, { "xaaaaaaay", "aaaay", 2 }, { "abcabcabdz", "abcabd", 1 }, { "abx", "x", 1000 },
  { "x", "x", 1 }, { "aXb", "X", 0 }, { "aXb", "X", -1 },
}) do
  s = over(echo, case[1])
  local more = s:receiveuntil(case[2])
  for _ = 1, 12 do
    local data, err, partial = more(case[3])
    say(data, err, partial)
    if not data and not err then break end
    if err then break end
    if case[3] < 1 then break end
  end
  s:close()
end

s = over(echo, "abc--")
s:settimeout(30)
local more = s:receiveuntil("--x")
say(more())
s:send("d--xe")
say(more())
say(s:receive(1))
s = over(echo, "abcdefgh")
more = s:receiveuntil("h")
say(more(3))
say(s:receive(2))
say(more(2))
say(more())
