-- ngx.pipe: child processes. A process is a cdata; its end ends the child.

local ngx = ...
local ops, vm = require("moongate.ops").ngx_pipe, require("moongate.ops").vm
local free, unique = require("moongate.ops").cdata.free, require("moongate.ops").cdata.unique
local take = vm.take
local type, error, tonumber, tostring, ipairs, concat = type, error, tonumber, tostring, ipairs, table.concat

local ALL, BYTES, LINE, ANY = 0, 1, 2, 3
local MAX_TIMEOUT = 0xffffffff
local TIMEOUT = 10000

local function check(proc)
  if type(proc) ~= "cdata" then
    error("not a process instance", 3)
  end
  return proc.id
end

-- An op that waits returns nothing at first.
local function answer(a, b)
  if a == nil and b == nil then
    return take()
  end
  return a, b
end

local function read(proc, stderr, kind, len)
  return answer(ops.read(check(proc), stderr, kind, len))
end

local function set_timeouts(proc, write, stdout, stderr, wait)
  if write and (write < 0 or write > MAX_TIMEOUT) then
    error("bad write_timeout option", 3)
  elseif stdout and (stdout < 0 or stdout > MAX_TIMEOUT) then
    error("bad stdout_read_timeout option", 3)
  elseif stderr and (stderr < 0 or stderr > MAX_TIMEOUT) then
    error("bad stderr_read_timeout option", 3)
  elseif wait and (wait < 0 or wait > MAX_TIMEOUT) then
    error("bad wait_timeout option", 3)
  end
  ops.limits(proc.id, tonumber(write), tonumber(stdout), tonumber(stderr), tonumber(wait))
end

local function reading_bytes(stderr)
  return function(proc, len)
    if len <= 0 then
      if len < 0 then
        error("bad len argument", 2)
      end
      return ""
    end
    return read(proc, stderr, BYTES, tonumber(len))
  end
end

local function reading_any(stderr)
  return function(proc, max)
    max = tonumber(max)
    if not max or max <= 0 then
      error("bad max argument", 2)
    end
    return read(proc, stderr, ANY, max)
  end
end

local methods = {
  pid = function(proc)
    return proc._pid
  end,
  set_timeouts = function(proc, ...)
    set_timeouts(proc, ...)
  end,
  stdout_read_all = function(proc) return read(proc, false, ALL) end,
  stdout_read_line = function(proc) return read(proc, false, LINE) end,
  stdout_read_bytes = reading_bytes(false),
  stdout_read_any = reading_any(false),
  stderr_read_all = function(proc) return read(proc, true, ALL) end,
  stderr_read_line = function(proc) return read(proc, true, LINE) end,
  stderr_read_bytes = reading_bytes(true),
  stderr_read_any = reading_any(true),
}

function methods.write(proc, data)
  local id = check(proc)
  local kind = type(data)
  if kind == "table" then
    data = concat(data)
  elseif kind == "number" then
    data = tostring(data)
  elseif kind ~= "string" then
    error("bad data arg: string, number, or table expected, got " .. kind, 2)
  end
  return answer(ops.write(id, data))
end

local ENDS = { stdin = 0, stdout = 1, stderr = 2 }

function methods.shutdown(proc, direction)
  local id = check(proc)
  local number = ENDS[direction]
  if not number then
    error("bad shutdown arg: " .. tostring(direction), 2)
  end
  return ops.shutdown(id, number)
end

function methods.wait(proc)
  return answer(ops.wait(check(proc)))
end

function methods.kill(proc, signal)
  local id = check(proc)
  if type(signal) ~= "number" then
    error("bad signal arg: number expected, got " .. tostring(signal), 2)
  end
  return ops.kill(id, signal)
end

local process_type

local function new_process(id, pid)
  if not process_type then
    local ffi = require "ffi"
    local name = "moongate_process_" .. unique()
    ffi.cdef("typedef struct { double id; int _pid; } " .. name .. ";")
    process_type = ffi.metatype(name, { __index = methods, __gc = function(proc) free(proc.id) end })
  end
  return process_type(id, pid)
end

-- The program and its arguments; a string is the shell's.
local function words_of(args)
  local kind = type(args)
  if kind == "string" then
    return { "/bin/sh", "-c", args }
  elseif kind ~= "table" then
    error("bad args arg: table expected, got " .. kind, 3)
  end
  local words = {}
  for i, arg in ipairs(args) do
    words[i] = tostring(arg)
  end
  if not words[1] then
    error("bad args arg: non-empty table expected", 3)
  end
  return words
end

local function check_environ(environ)
  if type(environ) ~= "table" then
    error("bad environ option: table expected, got " .. type(environ), 3)
  end
  for i, env in ipairs(environ) do
    if type(env) ~= "string" then
      error("bad value at index " .. i .. " of environ option: string expected, got " .. type(env), 3)
    elseif not env:find("=", 2, true) then
      error("bad value at index " .. i .. " of environ option: 'name=[value]' format expected, got '" .. env
        .. "'", 3)
    end
  end
end

-- Each word up to its first NUL, as C has it, and one after it.
local function packed(words)
  local list = {}
  for i, word in ipairs(words) do
    list[i] = word:match("^%Z*")
  end
  return list[1] and concat(list, "\0") .. "\0" or nil
end

local function spawn(args, opts)
  if ngx.get_phase() == "init" then
    error("API disabled in the current context", 2)
  end
  local words = words_of(args)
  opts = opts or {}
  local buffer_size = 4096
  if opts.buffer_size then
    buffer_size = tonumber(opts.buffer_size)
    if not buffer_size or buffer_size < 1 then
      error("bad buffer_size option", 2)
    end
  end
  if opts.environ then
    check_environ(opts.environ)
  end
  local write, wait = opts.write_timeout or TIMEOUT, opts.wait_timeout or TIMEOUT
  local stdout, stderr = opts.stdout_read_timeout or TIMEOUT, opts.stderr_read_timeout or TIMEOUT
  set_timeouts({ id = 0 }, write, stdout, stderr, wait)
  local id, pid = ops.spawn(packed(words), opts.merge_stderr, buffer_size, opts.environ and packed(opts.environ))
  if not id then
    return nil, pid
  end
  local proc = new_process(id, pid)
  ops.limits(id, tonumber(write), tonumber(stdout), tonumber(stderr), tonumber(wait))
  return proc
end

package.preload["ngx.pipe"] = function()
  return { version = "0.1.29", spawn = spawn }
end
