-- request: GET /flush
local lines = {}
local function note(name, ...)
  local parts = { name }
  for i = 1, select("#", ...) do
    parts[#parts + 1] = tostring((select(i, ...)))
  end
  lines[#lines + 1] = table.concat(parts, " "):gsub("'%?'", "'flush'")
end

note("nothing yet", ngx.flush())
note("nothing yet, waiting", ngx.flush(true))
note("a number", pcall(ngx.flush, 1))
note("a string", pcall(ngx.flush, "true"))
note("two", pcall(ngx.flush, true, true))
note("nil", pcall(ngx.flush, nil))
note("eof of something", pcall(ngx.eof, 1))
ngx.header["X-Before"] = "1"
note("send_headers", ngx.send_headers())
note("again", ngx.send_headers())
note("sent", ngx.headers_sent)
ngx.header["X-After"] = "1"
ngx.status = 201
note("status", ngx.status, ngx.header["X-After"])
note("no body", ngx.flush())
note("no body, waiting", ngx.flush(true))
note("empty", ngx.print(""))
note("still no body", ngx.flush(false))
note("print", ngx.print("body\n"))
note("flush", ngx.flush())
note("flush false", ngx.flush(false))
note("flush true", ngx.flush(true))
note("in a thread", ngx.thread.wait(ngx.thread.spawn(function()
  ngx.print("thread\n")
  return ngx.flush(true)
end)))
note("in a coroutine", coroutine.wrap(function()
  ngx.print("coroutine\n")
  return ngx.flush(true)
end)())
local big = string.rep("x", 100000) .. "\n"
for _ = 1, 5 do
  note("big", ngx.print(big), ngx.flush(true))
end
note("redirect", pcall(ngx.redirect, "/x"))
note("exec", pcall(ngx.exec, "/x"))
note("exit", ngx.headers_sent, ngx.status)
ngx.say(table.concat(lines, "\n"))
note("eof", ngx.eof())
ngx.sleep(0.01)
ngx.say("never seen")
