-- `resty.signal`: sending signals to processes.

local ffi = require "ffi"
local M = { version = "0.03" }

local NUMBERS = {
  NONE = 0, HUP = 1, INT = 2, QUIT = 3, ILL = 4, TRAP = 5, ABRT = 6, BUS = 7, FPE = 8, KILL = 9, USR1 = 10,
  SEGV = 11, USR2 = 12, PIPE = 13, ALRM = 14, TERM = 15, CHLD = 17, CONT = 18, STOP = 19, TSTP = 20, TTIN = 21,
  TTOU = 22, URG = 23, XCPU = 24, XFSZ = 25, VTALRM = 26, PROF = 27, WINCH = 28, IO = 29, PWR = 30, SYS = 31,
}

if not pcall(function() return ffi.C.kill end) then
  ffi.cdef "int kill(int pid, int sig);"
end
if not pcall(function() return ffi.C.strerror end) then
  ffi.cdef "char *strerror(int errnum);"
end

function M.signum(name)
  return NUMBERS[name]
end

--- Sends signal `sig` (a name or a number) to a process or a list of them.
function M.kill(pid, sig)
  local number = type(sig) == "number" and sig or NUMBERS[sig]
  if not number then
    error("unknown signal name " .. tostring(sig), 2)
  end
  for _, one in ipairs(type(pid) == "table" and pid or { pid }) do
    if ffi.C.kill(assert(tonumber(one)), number) ~= 0 then
      return nil, ffi.string(ffi.C.strerror(ffi.errno()))
    end
  end
  return true
end

return M
