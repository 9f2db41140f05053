-- `resty.signal`: signals by name.

local ffi = require "ffi"
local C, tonumber, type, assert = ffi.C, tonumber, type, assert

ffi.cdef "int kill(int32_t pid, int sig);"

local M = { version = 0.04 }

-- Linux has no EMT and no INFO.
local NUMBERS = {
  NONE = 0, HUP = 1, INT = 2, QUIT = 3, ILL = 4, TRAP = 5, ABRT = 6, BUS = 7, FPE = 8, KILL = 9, USR1 = 10,
  SEGV = 11, USR2 = 12, PIPE = 13, ALRM = 14, TERM = 15, CHLD = 17, CONT = 18, STOP = 19, TSTP = 20, TTIN = 21,
  TTOU = 22, URG = 23, XCPU = 24, XFSZ = 25, VTALRM = 26, PROF = 27, WINCH = 28, IO = 29, PWR = 30, SYS = 31,
}

--- The number of a signal; a number is its own.
function M.signum(name)
  if type(name) == "number" then
    return name
  end
  local number = NUMBERS[name]
  if not number then
    return nil, "unknown signal name"
  end
  return number
end

--- Sends a signal, a name or a number, to a process.
function M.kill(pid, sig)
  assert(sig)
  local number, err = M.signum(sig)
  if not number then
    return nil, err
  end
  if tonumber(C.kill(assert(pid), number)) == 0 then
    return true
  end
  return nil, ffi.string(C.strerror(ffi.errno()))
end

return M
