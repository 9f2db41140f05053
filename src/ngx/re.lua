-- ngx.re: match, find, gmatch, sub, gsub.

local ngx = ...
local ops = require("moongate.ops").ngx_re
local exec, find, replace = ops.exec, ops.find, ops.replace
local type, error, tostring, pairs, setmetatable = type, error, tostring, pairs, setmetatable
local concat, sub = table.concat, string.sub
local max = math.max

local function text(value)
  return type(value) == "string" and value or tostring(value)
end

-- where a ctx table says to begin, from 0
local function offset(ctx)
  if not ctx then
    return 0
  end
  local pos = ctx.pos
  if type(pos) ~= "number" or pos <= 0 then
    return 0
  end
  return pos - 1
end

local re = {}
ngx.re = re

function re.match(subject, pattern, options, ctx, into)
  local captures, from_or_err, to = exec(text(subject), text(pattern), options, offset(ctx))
  if not captures then
    return nil, from_or_err
  end
  if ctx then
    ctx.pos = to + 1
  end
  if into then
    for key, value in pairs(captures) do
      into[key] = value
    end
    return into
  end
  return captures
end

function re.find(subject, pattern, options, ctx, nth)
  local from, to, err, nowhere = find(text(subject), text(pattern), options, offset(ctx), nth)
  if not from then
    if ctx and nowhere then
      ctx.pos = nowhere + 1
    end
    if err then
      return nil, nil, err
    end
    return nil
  end
  if ctx then
    ctx.pos = err + 1
  end
  return from, to
end

local iterator = {}
iterator.__index = iterator

function iterator.__call(it)
  local at = it.at
  if not at then
    return nil
  end
  local captures, from, to = exec(it.subject, it.pattern, it.options, at)
  if not captures then
    it.at = nil
    return nil, from
  end
  at = max(at, to)
  if from >= to then
    at = at + 1
  end
  it.at = at <= #it.subject and at or nil
  return captures
end

function re.gmatch(subject, pattern, options)
  subject, pattern = text(subject), text(pattern)
  -- a pattern that doesn't compile is said here, not by the iterator
  local _, err = exec("", pattern, options, 0)
  if type(err) == "string" and err:find("pcre2_compile", 1, true) then
    return nil, err
  end
  return setmetatable({ subject = subject, pattern = pattern, options = options, at = 0 }, iterator)
end

local function replace_by(subject, pattern, options, f, global)
  local out, n, copied, at, count = {}, 0, 0, 0, 0
  while at <= #subject do
    local captures, from, to = exec(subject, pattern, options, at)
    if not captures then
      if from then
        return nil, nil, from
      end
      break
    end
    count = count + 1
    if from > copied then
      n = n + 1
      out[n] = sub(subject, copied + 1, from)
    end
    n = n + 1
    out[n] = tostring(f(captures))
    copied = max(copied, to)
    at = max(at, to)
    if from >= to then
      at = at + 1
    end
    if not global then
      break
    end
  end
  if count == 0 then
    return subject, 0
  end
  out[n + 1] = sub(subject, copied + 1)
  return concat(out), count
end

local function substitute(name, global)
  return function(subject, pattern, replacement, options)
    subject, pattern = text(subject), text(pattern)
    local kind = type(replacement)
    if kind == "function" then
      return replace_by(subject, pattern, options, replacement, global)
    elseif kind ~= "string" and kind ~= "number" then
      error("bad argument #3 to '" .. name .. "' (string or function expected, got " .. kind .. ")", 2)
    end
    return replace(subject, pattern, options, text(replacement), global)
  end
end

re.sub = substitute("sub", false)
re.gsub = substitute("gsub", true)

function re.opt()
end
