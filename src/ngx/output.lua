-- ngx.say, print, flush, eof, send_headers, redirect, arg.

local ngx = ...
local ops = require("moongate.ops")
local append, started, take = ops.ngx_output.append, ops.ngx_output.started, ops.vm.take
local begin, pass, flush, eof = ops.ngx_output.begin, ops.ngx_output.pass, ops.ngx_output.flush, ops.ngx_output.eof
local set_arg = ops.ngx_output.set_arg
local running, slots = require("moongate.running"), require("moongate.slots")
local error, type, tostring, select, next, rawget = error, type, tostring, select, next, rawget
local concat = table.concat

local function wrong(i, name, why)
  return "bad argument #" .. i .. " to '" .. name .. "' (" .. why .. ")"
end

-- how deep tables may stand in tables
local DEEPEST = 100

-- appends a value's text to `parts`; answers what is wrong with it, if anything
local function flatten(parts, value, i, name, depth)
  local kind = type(value)
  if kind == "string" then
    parts[#parts + 1] = value
  elseif kind == "number" or kind == "boolean" or kind == "nil" then
    parts[#parts + 1] = tostring(value)
  elseif kind == "table" and depth < DEEPEST then
    local max = 0
    for key in next, value do
      if type(key) ~= "number" or key ~= math.floor(key) or key < 1 then
        return wrong(i, name, "non-array table found")
      end
      max = key > max and key or max
    end
    if max > 2 * #value + 1000 then
      return wrong(i, name, "non-array table found")
    end
    for k = 1, max do
      local bad = flatten(parts, rawget(value, k), i, name, depth + 1)
      if bad then
        return bad
      end
    end
  elseif value == ngx.null then
    parts[#parts + 1] = "null"
  elseif depth > 0 then
    return wrong(i, name, "bad data type " .. kind .. " found")
  else
    return wrong(i, name, "string, number, boolean, nil, ngx.null, or array table expected, but got " .. kind)
  end
end

-- why nothing more may be written, if it may not
local function over()
  local s = slots[running[1]]
  return s and (s.raw and "raw request socket acquired" or s.eof and "seen eof")
end

local function write_tables(name, newline, ...)
  local parts = {}
  for i = 1, select("#", ...) do
    local bad = flatten(parts, (select(i, ...)), i, name, 0)
    if bad then
      return nil, nil, bad
    end
  end
  return append(newline, concat(parts))
end

local FILTERED_OUT = "nginx output filter error"

-- what `append` answers beside 1: the head is to be fixed first, body_filter is to see what was written
local BEGIN, PASS = 2, 3

local function write(name, newline, ...)
  local done, err = append(newline, ...)
  if not done and not err then
    local bad
    done, err, bad = write_tables(name, newline, ...)
    if bad then
      error(bad, 3)
    end
  end
  return done, err
end

local function writer(name, newline)
  return function(...)
    local why = over()
    if why then
      return nil, why
    end
    local done, err = write(name, newline, ...)
    if done == BEGIN then
      if not begin() then
        return nil, FILTERED_OUT
      end
      done, err = write(name, newline, ...)
      if err == "header only" then
        return 1
      end
    end
    if done == PASS then
      done = pass(false)
      if not done then
        return nil, FILTERED_OUT
      end
    end
    if done then
      return 1
    end
    return nil, err
  end
end

ngx.say = writer("say", true)
ngx.print = writer("print", false)

local function waited(...)
  if select("#", ...) == 0 then
    return waited(take())
  end
  return ...
end

function ngx.flush(...)
  local n = select("#", ...)
  if n > 1 then
    error("attempt to pass " .. n .. " arguments, but accepted 0 or 1", 2)
  end
  local begun, seen, filtered, why = started()
  local wait = ...
  if ngx.is_subrequest then
    wait = false
  elseif n == 1 and type(wait) ~= "boolean" then
    error("bad argument #1 to 'flush' (boolean expected, got " .. type(wait) .. ")", 2)
  end
  why = over() or why
  if why then
    return nil, why
  elseif not begun or not (seen or wait) then
    return nil, "nothing to flush"
  elseif filtered and not pass(false) then
    return nil, FILTERED_OUT
  end
  return waited(flush(wait or false))
end

function ngx.eof(...)
  if select("#", ...) > 0 then
    error("no argument is expected", 2)
  end
  local why = over()
  if why then
    return nil, why
  end
  local begun, _, filtered, failed = started()
  local n = running[1]
  slots[n] = slots[n] or {}
  slots[n].eof = true
  if failed == FILTERED_OUT or not begun and not begin() or filtered and not pass(true) then
    return nil, FILTERED_OUT
  end
  return eof()
end

function ngx.send_headers()
  local begun, _, _, why = started()
  if not begun and not why and not over() and not begin() then
    return nil, FILTERED_OUT
  end
  return 1
end

ngx.redirect = ops.ngx_output.redirect

ngx.arg = setmetatable({}, {
  __index = ops.ngx_output.get_arg,
  __newindex = function(_, i, value)
    if i == 1 and type(value) == "table" then
      local parts = {}
      flatten(parts, value, 1, "arg", 0)
      value = concat(parts)
    end
    set_arg(i, value)
  end,
  __metatable = false,
})
