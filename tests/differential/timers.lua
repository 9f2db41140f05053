local got = {}
local ok, err = ngx.timer.at(0.01, function(premature, a, b, c)
  got[#got + 1] = tostring(premature) .. " " .. a .. " " .. tostring(b) .. " " .. c
  got[#got + 1] = ngx.get_phase()
  ngx.sleep(0.01)
  got[#got + 1] = "slept"
end, "a", nil, "c")
ngx.say(ok and true, " ", err)
ngx.say(ngx.timer.pending_count(), " ", ngx.timer.running_count())
ngx.timer.at(0, function() error("not ours") end)
ngx.sleep(0.1)
ngx.say(table.concat(got, "\n"))
ngx.say(ngx.timer.pending_count(), " ", ngx.timer.running_count())
ngx.say((pcall(ngx.timer.at, -1, function() end)))
ngx.say((pcall(ngx.timer.at, 0, 1)))
