-- Natives: functions that faces call through FFI. `reply` is what they leave their results in: one for the state, to be
-- looked at before anything else is called. Between a native's return and `ffi.string(bytes, n)` nothing is allocated,
-- so no finalizer runs that might call another.

local ffi = require "ffi"

ffi.cdef(("typedef struct { double number; char bytes[%d]; } moongate_reply_t;"):format(...))

local anchor = ffi.new "moongate_reply_t"
local native = ffi.typeof("int (*)(const char *, size_t, const char *, size_t, moongate_reply_t *, int, double, "
  .. "double, double)")

local M = {
  -- pointers, which the JIT compiler takes for constants
  reply = ffi.cast("moongate_reply_t *", anchor),
  bytes = ffi.cast("char *", anchor.bytes),
}

function M.add(room, name, f)
  M[room] = M[room] or {}
  M[room][name] = ffi.cast(native, f)
end

-- who asked for the module keeps the second
return M, anchor
