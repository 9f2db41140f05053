-- moongate.clock: a function that tells the seconds since some moment, never going back; good to a few
-- milliseconds. It is asked for at each look into a cache, so it is an FFI call: a compiled trace makes it
-- without leaving.

local ffi = require("ffi")

if ffi.os ~= "Linux" then
  return function()
    return ngx.now()
  end
end

-- names of our own: a plugin may declare the system's in its way. They are there already if the module was
-- forgotten and is loaded again.
pcall(ffi.cdef, [[
  typedef struct { long sec; long nsec; } moongate_timespec;
  int moongate_clock_gettime(int clock, moongate_timespec *into) __asm__("clock_gettime");
]])

local CLOCK_MONOTONIC_COARSE = 6
local C, time = ffi.C, ffi.new("moongate_timespec")
local tonumber = tonumber

return function()
  C.moongate_clock_gettime(CLOCK_MONOTONIC_COARSE, time)
  return tonumber(time.sec) + tonumber(time.nsec) * 1e-9
end
