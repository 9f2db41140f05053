local echo = tonumber(ngx.var.http_x_echo)
local function say(...)
  local t = {}
  for i = 1, select("#", ...) do
    t[i] = tostring((select(i, ...))):gsub("^[^ ]*%.lua:%d+: ", "")
  end
  ngx.say(#t, ": ", table.concat(t, "|"))
end
local s = ngx.socket.tcp()
say(type(s), type(getmetatable(s)))
for _, name in ipairs({ "send", "receive", "receiveany", "receiveuntil", "setkeepalive", "close", "getreusedtimes",
  "settimeout", "settimeouts", "connect", "getoption", "setoption", "sslhandshake", "setclientcert" }) do
  -- worded otherwise in newer versions: settimeouts, what is checked first in setoption and setkeepalive
  if name ~= "settimeouts" and name ~= "setoption" then
    say(name, pcall(s[name], s))
    say(name, pcall(s[name], s, nil))
    say(name, name ~= "setkeepalive" and pcall(s[name], s, {}))
    say(name, pcall(s[name], s, 1, 2, 3, 4, 5, 6))
  end
end
say(pcall(s.connect, s, "127.0.0.1", "x"))
say(pcall(s.connect, s, "127.0.0.1", -1))
say(pcall(s.connect, s, "127.0.0.1", 65536))
say(pcall(s.connect, s, "127.0.0.1", 1))
say(pcall(s.connect, s, "", 1))
say(pcall(s.connect, s, "unix:/nowhere/sock"))
say(pcall(s.connect, s, "unix:/nowhere/sock", { pool = "x" }))
say(pcall(s.connect, s, "unix:/nowhere/sock", nil, {}))
say(pcall(s.connect, s, "127.0.0.1", 1, 2))
for _, options in ipairs({ { pool = {} }, { pool = true }, { pool_size = 0 }, { pool_size = -1 }, { pool_size = {} },
  { backlog = -1 }, { pool_size = "3", backlog = "2", pool = 5 }, { backlog = {} } }) do
  say(pcall(s.connect, s, "127.0.0.1", 1, options))
  say(pcall(function() return s:connect("127.0.0.1", 1, options) end))
end
say(pcall(ngx.socket.tcp, 1))
say((pcall(ngx.socket.connect)))
say(pcall(ngx.socket.connect, "127.0.0.1", 1))
say(s:connect("127.0.0.1", echo))
s:settimeout(500)
for _, call in ipairs({
  function() return s:send() end, function() return s:send(1, 2) end, function() return s:send(print) end,
  function() return s:send({ a = 1 }) end, function() return s:send({ 1, { print } }) end,
  function() return s:send({ 1, nil, 3 }) end, function() return s:send({ true }) end,
  function() return s:send({ [1.5] = 1 }) end, function() return s:send({ {}, {} }) end,
  function() return s:send("") end, function() return s:send(coroutine.create(function() end)) end,
  function() return s:receive("x") end,
  function() return s:receive("*x") end, function() return s:receive("*line") end, function() return s:receive("") end,
  function() return s:receive(1, 2) end,
  function() return s:receiveany() end, function() return s:receiveany("x") end,
  function() return s:receiveany(0) end, function() return s:receiveany(-3) end, function() return s:receiveany({}) end,
  function() return s:receiveuntil() end, function() return s:receiveuntil({}) end,
  function() return s:receiveuntil("x", 1) end, function() return s:receiveuntil("x", nil) end,
  function() return s:receiveuntil("x", { inclusive = 1 }) end,
  function() return s:receiveuntil("x")({}) end,
  function() return s:receiveuntil("x")("y") end,
  function() return s:settimeout("x") end, function() return s:settimeout(-1) end,
  function() return s:settimeout(2 ^ 31) end, function() return s:settimeout(2 ^ 31 - 1) end,
  function() return (pcall(s.settimeouts, s, 1, 2, -1)) end,
  function() return s:settimeouts(nil, nil, nil) end,
  function() return s:setkeepalive(1, 2, 3) end,
  function() return s:close(1) end, function() return s:getreusedtimes(1) end,
  function() return s:getoption() end, function() return s:getoption("x") end, 
  function() return s:setoption() end, function() return s:setoption("sndbuf") end,
  function() return s:setoption("x", 1) end,
  function() return s:setclientcert() end, function() return s:setclientcert(1) end,
  function() return s:setclientcert(1, 2) end, function() return s:setclientcert(nil, 2) end,
}) do
  say(pcall(call))
end
for _, option in ipairs({ "keepalive", "reuseaddr", "tcp-nodelay" }) do
  say(option, s:getoption(option))
  say(s:setoption(option, 1))
  say(s:getoption(option) > 0)
  say(s:setoption(option, 0))
  say(s:getoption(option))
  say(pcall(s.setoption, s, option, true))
end
for _, option in ipairs({ "sndbuf", "rcvbuf" }) do
  say(s:setoption(option, 10240))
  say(s:getoption(option))
end
say(s:send(nil))
say(s:send(true))
say(s:send(1.5))
say(s:receive(10))
say(s:close())
say(s:sslhandshake())
say(s:setkeepalive())
say(s:getoption("sndbuf"))
