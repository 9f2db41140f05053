ngx.say(type(ngx.ctx))
ngx.ctx.a = 1
ngx.ctx.b = { c = 2 }
ngx.say(ngx.ctx.a, " ", ngx.ctx.b.c, " ", ngx.ctx.none)
ngx.sleep(0.001)
ngx.say(ngx.ctx.a)
local old = ngx.ctx
ngx.ctx = { fresh = true }
ngx.say(ngx.ctx.fresh, " ", ngx.ctx.a, " ", old.a)
ngx.say((pcall(function() ngx.ctx = 1 end)))
local co = coroutine.wrap(function()
  ngx.ctx.inner = "in"
  ngx.sleep(0.001)
  coroutine.yield(ngx.ctx.fresh)
  return ngx.ctx.inner
end)
ngx.say(co(), " ", co(), " ", ngx.ctx.inner)
