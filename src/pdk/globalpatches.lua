-- `kong.globalpatches`: what Kong changes of ngx and Lua for its plugins (limits of headers and arguments, timers,
-- names that sockets connect to, math.randomseed, JSON's numbers) is so here from the beginning.

return function() end
