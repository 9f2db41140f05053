local function p(...)
  local t = {}
  for i = 1, select("#", ...) do
    t[i] = tostring((select(i, ...)))
  end
  ngx.say((table.concat(t, " | "):gsub("[^ ]*/", "")))
end
local f = function() end
p(pcall(ngx.timer.at))
p(pcall(ngx.timer.at, 1))
p(pcall(ngx.timer.every))
p(pcall(ngx.timer.at, "x", f))
p(pcall(ngx.timer.at, {}, f))
p(pcall(ngx.timer.at, true, f))
p(pcall(ngx.timer.at, nil, f))
p(pcall(ngx.timer.at, 0, 1))
p(pcall(ngx.timer.at, 0, string.rep))
p(pcall(ngx.timer.every, 0, f))
p(pcall(ngx.timer.every, 1e-5, f))
p(pcall(function() ngx.timer.at("x", f) end))
p(pcall(function() ngx.timer.every(0, f) end))
p(pcall(function() ngx.timer.at(0, {}) end))
p(ngx.timer.at("0", f))
p(ngx.timer.at(-1, f))
p(type(ngx.timer.running_count()), type(ngx.timer.pending_count()))
p(pcall(ngx.on_abort, f))
p(pcall(ngx.on_abort))
p(type(ngx.worker.pid()), type(ngx.worker.pids()), ngx.worker.exiting())
