local co = coroutine.create(function(a, b)
  ngx.sleep(0.001)
  local c = coroutine.yield(a + b)
  ngx.sleep(0.001)
  local d, e = coroutine.yield(c * 2)
  return d, e, "end"
end)
ngx.say(coroutine.resume(co, 1, 2))
ngx.say(coroutine.status(co))
ngx.say(coroutine.resume(co, 10))
ngx.say(coroutine.resume(co, "x", nil))
ngx.say(coroutine.status(co))
ngx.say(coroutine.resume(co))
local bad = coroutine.create(function() error({ code = 7 }) end)
local ok, e = coroutine.resume(bad)
ngx.say(ok, " ", type(e), " ", e.code)
local gen = coroutine.wrap(function()
  for i = 1, 3 do
    ngx.sleep(0)
    coroutine.yield(i)
  end
end)
for i in gen do ngx.print(i, " ") end
ngx.say("")
ngx.say(type(coroutine.running()), " ", coroutine.status(coroutine.running()))
local t = setmetatable({}, { __index = function(_, k) ngx.sleep(0.001) return k .. "!" end,
  __add = function(a, b) ngx.sleep(0.001) return "sum" end, __call = function(_, x) ngx.sleep(0.001) return x end })
ngx.say(t.name, " ", t + 1, " ", t("called"))
local threads = {}
for i = 1, 3 do
  threads[i] = ngx.thread and ngx.thread.spawn and coroutine.create(function() ngx.sleep(0.001 * i) return i end)
end
for i = 1, 3 do ngx.print(select(2, coroutine.resume(threads[i])), " ") end
ngx.say("")
