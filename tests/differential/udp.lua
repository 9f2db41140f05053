local port = tonumber(ngx.var.http_x_udp)
local function say(...)
  local t = {}
  for i = 1, select("#", ...) do
    t[i] = tostring((select(i, ...))):gsub("^[^ ]*%.lua:%d+: ", "")
  end
  ngx.say(#t, ": ", table.concat(t, "|"))
end
local s = ngx.socket.udp()
say(type(s))
for _, name in ipairs({ "send", "receive", "close", "settimeout", "setpeername" }) do
  say(name, pcall(s[name], s))
  say(name, pcall(s[name], s, nil))
  say(name, pcall(s[name], s, {}))
  say(name, pcall(s[name], s, 1, 2, 3, 4))
end
say(s:setpeername("127.0.0.1", port))
s:settimeout(1000)
say(s:send("one"))
say(s:receive())
say(s:send({ "a", { 1, { "b" } } }))
say(s:receive(3))
say(s:send(3.25))
say(s:receive(2))
say(s:send(nil))
say(s:receive())
say(s:send(true))
say(s:receive(100000))
say(s:send(""))
say(s:receive())
s:settimeout(20)
say(s:receive())
s:settimeout(1000)
say(s:send("again"))
say(s:receive())
for _, call in ipairs({
  function() return s:send() end, function() return s:send(print) end, function() return s:send({ a = 1 }) end,
  function() return s:send({ true }) end, function() return s:receive("x") end, function() return s:receive({}) end,
  function() return s:receive(1, 2) end, function() return s:settimeout("x") end, function() return s:close(1) end,
  function() return s:setpeername("127.0.0.1", "x") end, function() return s:setpeername("127.0.0.1", -1) end,
  function() return s:setpeername("127.0.0.1", 70000) end, function() return s:setpeername("", 1) end,
  function() return ngx.socket.udp(1) end,
}) do
  say(pcall(call))
end
say(s:setpeername("127.0.0.1", port))
s:settimeout(1000)
say(s:send("bound"))
say(s:receive())
say(s:setpeername("unix:/nowhere/sock"))
say(s:setpeername("127.0.0.1", 1))
say(s:send("x"))
s:settimeout(1000)
say(s:receive())
say(s:close())
say(s:close())
say(s:send("x"))
say(s:receive())
