-- `ngx.re`: split, opt.

local re = require "moongate.ngx.re"
local new_tab = require "table.new"

local exec, compiled_of, failed, set_jit_stack, is_cache_empty =
  re.exec, re.compiled_of, re.failed, re.set_jit_stack, re.is_cache_empty
local error, tostring, type = error, tostring, type
local max_of, min_of, sub = math.max, math.min, string.sub

local NOMATCH = -1

-- the next separator from ctx.pos (from 0): its first place, the place after it, its first group; or an error last
local function separator(subj, compiled, flags, ctx)
  local rc = exec(compiled, flags, subj, #subj, max_of(ctx.pos, 0))
  if rc == NOMATCH then
    return nil
  elseif rc < 0 then
    return nil, nil, nil, failed(rc)
  end
  local captures = compiled.captures
  local from, to = captures[0], captures[1]
  if from < 0 or to < 0 then
    return nil
  end
  -- after an empty separator the search goes on at the next byte
  ctx.pos = from == to and to + 1 or to
  if compiled.ncaptures > 0 and rc > 1 then
    return from + 1, to + 1, sub(subj, captures[2] + 1, captures[3])
  end
  return from + 1, to + 1
end

local M = { version = "0.1.31" }

local function split(subj, compiled, flags, ctx, max, res)
  local len, start, n = #subj, ctx.pos, 0
  local pieces, last_empty = 1, nil
  ctx.pos = start - 1
  while max <= 0 or pieces < max do
    local from, to, group, err = separator(subj, compiled, flags, ctx)
    if err then
      return nil, err
    elseif not from then
      break
    end
    if last_empty then
      start = last_empty
    end
    if from == to then
      last_empty = from
    end
    if from > start or not last_empty then
      pieces = pieces + 1
      n = n + 1
      res[n] = sub(subj, start, from - 1)
      if group then
        n = n + 1
        res[n] = group
      end
      start = to
      if start > len then
        break
      end
    end
  end
  if max <= 0 and start > len then
    -- without a limit no empty pieces stay at the end
    while n > 0 and res[n] == "" do
      res[n] = nil
      n = n - 1
    end
  else
    n = n + 1
    res[n] = sub(subj, start)
  end
  res[n + 1] = nil
  return res
end

local own_ctx = { pos = 1 }

--- Splits a string at a pattern: a list, or nil and an error.
function M.split(subj, regex, opts, ctx, max, res)
  subj = tostring(subj)
  if not ctx then
    ctx = own_ctx
    ctx.pos = 1
  elseif not ctx.pos then
    ctx.pos = 1
  end
  max = max or 0
  if not res then
    res = new_tab(max > 0 and min_of(4, max) or 4, 0)
  elseif type(res) ~= "table" then
    error("res is not a table", 2)
  end
  if ctx.pos > #subj then
    res[1] = nil
    return res
  end
  local compiled, flags = compiled_of(regex, opts)
  if not compiled then
    return nil, flags
  end
  -- the tables given may have metamethods, which may use other patterns
  compiled.pinned = 1
  return split(subj, compiled, flags, ctx, max, res)
end

--- `jit_stack_size`, before a pattern was kept by the option `o`.
function M.opt(option, value)
  if option ~= "jit_stack_size" then
    error("unrecognized option name", 2)
  elseif not is_cache_empty() then
    error("changing jit stack size is not allowed when some regexs have already been compiled and cached", 2)
  elseif set_jit_stack(value) ~= 0 then
    error("pcre jit stack allocation failed", 2)
  end
end

return M
