-- `require "busted.runner"()` at the top of a spec: the runner is already running it.
return function()
  return function() end
end
