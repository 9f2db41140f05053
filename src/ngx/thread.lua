-- ngx.thread and ngx.on_abort: light threads. The driver runs them; what they move between Lua stacks, the vm room does.

local ngx = ...
local vm = require("moongate.ops").vm

ngx.thread = {
  spawn = vm.spawn,
  wait = vm.wait_threads,
  kill = vm.kill,
}

ngx.on_abort = vm.on_abort
