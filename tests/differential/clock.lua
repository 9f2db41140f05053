-- ngx.now stands still until something waits or the time is updated
local function busy(seconds)
  local start = os.clock()
  while os.clock() - start < seconds do
  end
end

local a = ngx.now()
busy(0.02)
ngx.say("busy: ", ngx.now() == a)
ngx.update_time()
local b = ngx.now()
ngx.say("updated: ", b >= a + 0.015)

ngx.thread.wait(ngx.thread.spawn(function()
  ngx.say("a thread's: ", ngx.now() == b)
  busy(0.02)
end))
ngx.say("a thread ran: ", ngx.now() == b)

local co = coroutine.wrap(function()
  for _ = 1, 3 do
    busy(0.005)
    coroutine.yield(ngx.now())
  end
end)
ngx.say("a coroutine's: ", co() == b, " ", co() == b, " ", co() == b)

ngx.sleep(0.001)
local c = ngx.now()
ngx.say("slept: ", c >= b + 0.03)
busy(0.02)
ngx.flush(true)
ngx.say("whole seconds: ", ngx.time() == math.floor(ngx.now()))
ngx.update_time()
ngx.say("in words: ", ngx.parse_http_time(ngx.http_time(ngx.time())) == ngx.time(), " ",
  ngx.utctime():sub(12) == ngx.http_time(ngx.time()):sub(18, 25), " ", ngx.localtime():sub(1, 10) == ngx.today())
