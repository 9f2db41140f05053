-- Natives: functions that faces call through FFI. `reply` is what they leave their results in: one for the state, to be
-- looked at before anything else is called. Between a native's return and `ffi.string(bytes, n)` nothing is allocated,
-- so no finalizer runs that might call another. A list tells by its serial whether one did.

local ffi = require "ffi"
local type, text = type, ffi.string

local room, most, size = ...
ffi.cdef(([[
typedef struct { int serial; int lengths[%d]; char text[%d]; } moongate_pairs_t;
typedef struct { double number; char bytes[%d]; moongate_pairs_t pairs; } moongate_reply_t;
]]):format(2 * most, size, room))

local anchor = ffi.new "moongate_reply_t"
local native = ffi.typeof("int (*)(const char *, size_t, const char *, size_t, moongate_reply_t *, int, double, "
  .. "double, double)")

local M = {
  -- pointers, which the JIT compiler takes for constants
  reply = ffi.cast("moongate_reply_t *", anchor),
  bytes = ffi.cast("char *", anchor.bytes),
}

local reply, result, NONE = M.reply, M.bytes, -1

-- What native `f` says of `name`: a text, nil, or false when the op is to be asked.
function M.text(f, name)
  if type(name) == "string" then
    local n = f(name, #name, nil, 0, reply, 0, 0, 0, 0)
    if n >= 0 then
      return text(result, n)
    elseif n == NONE then
      return nil
    end
  end
  return false
end

function M.add(room, name, f)
  M[room] = M[room] or {}
  M[room][name] = ffi.cast(native, f)
end

local pairs = ffi.cast("moongate_pairs_t *", anchor.pairs)
local lengths, bytes = ffi.cast("int *", anchor.pairs.lengths), ffi.cast("char *", anchor.pairs.text)

-- Puts the list of `n` pairs into `t`: what comes several times becomes an array. Whether it was the same list all along;
-- if not, the op is to be asked.
function M.collect(t, n)
  local serial, at = pairs.serial, 0
  for i = 0, 2 * n - 2, 2 do
    local long = lengths[i]
    local name, value = text(bytes + at, long), true
    at = at + long
    long = lengths[i + 1]
    if long >= 0 then
      value = text(bytes + at, long)
      at = at + long
    end
    local before = t[name]
    if before == nil then
      t[name] = value
    elseif type(before) == "table" then
      before[#before + 1] = value
    else
      t[name] = { before, value }
    end
  end
  return pairs.serial == serial
end

-- who asked for the module keeps the second
return M, anchor
