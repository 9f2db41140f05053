-- ngx.re: match, find, gmatch, sub, gsub; what `ngx.re` and `resty.core.regex` share with them.

local ngx = ...
local ffi = require "ffi"
local bit = require "bit"
local new_tab = require "table.new"
local ops = require("moongate.ops").ngx_re

local type, error, tostring, setmetatable = type, error, tostring, setmetatable
local sub, concat = string.sub, table.concat
local band, bor, lshift = bit.band, bit.bor, bit.lshift
local ffi_string, ffi_gc = ffi.string, ffi.gc
local next = next

ffi.cdef [[
typedef struct {
  int ncaptures;
  int name_count;
  int name_entry_size;
  int pinned;
  int *captures;
  const unsigned char *name_table;
} moongate_regex_t;
typedef struct {
  const unsigned char *data;
  size_t len;
} moongate_replaced_t;
]]

local functions = ops.functions()
local c_compile = ffi.cast("moongate_regex_t *(*)(const char *, size_t, int, int, char *, size_t)",
  functions.compile)
local c_free = ffi.cast("void (*)(moongate_regex_t *)", functions.free)
local exec = ffi.cast("int (*)(moongate_regex_t *, int, const char *, size_t, int)", functions.exec)
local c_replace = ffi.cast("int (*)(moongate_regex_t *, int, const char *, size_t, const char *, size_t, int, "
  .. "moongate_replaced_t *)", functions.replace)
local c_set_jit_stack = ffi.cast("int (*)(int)", functions.set_jit_stack)

local NOMATCH = -1
local BAD_TEMPLATE, TOO_LARGE = -1000, -1001
local ERR_SIZE = 256

local ONCE, DFA, DUP_NAMES = 1, 2, 8

-- each letter's flag of ours and PCRE2's options
local LETTERS = {
  o = { ONCE, 0 },
  d = { DFA, 0 },
  j = { 4, 0 },
  D = { DUP_NAMES, 0x40 },
  U = { 16, 0x80000 },
  u = { 0, 0x80000 },
  i = { 0, 0x8 },
  s = { 0, 0x20 },
  m = { 0, 0x400 },
  x = { 0, 0x80 },
  a = { 0, 0x80000000 },
  J = { 0, 0x203 },
}

local flags_of, options_of = {}, {}

local function parse_options(opts)
  local flags, options = 0, 0
  for i = 1, #opts do
    local letter = LETTERS[sub(opts, i, i)]
    if not letter then
      error(('unknown flag "%s" (flags "%s")'):format(sub(opts, i, i), opts), 4)
    end
    flags = bor(flags, letter[1])
    options = bor(options, letter[2])
  end
  -- who makes options up from what strangers say gets no place for them
  if #opts <= 16 then
    flags_of[opts], options_of[opts] = flags, options
  end
  return flags, options
end

-- Compiled patterns by options and pattern, in two generations: when the young one is full, the old one goes.
local max_kept = ops.cache_size()
local young, old, kept = {}, {}, 0
local once_used = false

local function forget(generation)
  for _, patterns in next, generation do
    for _, compiled in next, patterns do
      if compiled.pinned == 0 then
        c_free(ffi_gc(compiled, nil))
      end
    end
  end
end

local function keep(opts, regex, compiled)
  if kept >= max_kept then
    forget(old)
    old, young, kept = young, {}, 0
  end
  local patterns = young[opts]
  if not patterns then
    patterns = {}
    young[opts] = patterns
  end
  patterns[regex] = compiled
  kept = kept + 1
end

local err_buf = ffi.new("char[?]", ERR_SIZE)

-- the compiled pattern and its flags; or nil and what is wrong with it
local function look_up(regex, opts)
  local flags = flags_of[opts]
  local options = options_of[opts]
  if not flags then
    flags, options = parse_options(opts)
  end
  local patterns = old[opts]
  local compiled = patterns and patterns[regex]
  if compiled then
    patterns[regex] = nil
  else
    compiled = c_compile(regex, #regex, flags, options, err_buf, ERR_SIZE)
    if compiled == nil then
      return nil, ffi_string(err_buf)
    end
    ffi_gc(compiled, c_free)
  end
  if band(flags, ONCE) ~= 0 then
    once_used = true
  end
  if max_kept > 0 then
    keep(opts, regex, compiled)
  end
  return compiled, flags
end

local function compiled_of(regex, opts)
  opts = opts or ""
  local patterns = young[opts]
  local compiled = patterns and patterns[regex]
  if compiled then
    return compiled, flags_of[opts] or parse_options(opts)
  end
  return look_up(regex, opts)
end

local function collect_names(compiled, flags, res)
  local names, size = compiled.name_table, compiled.name_entry_size
  local dup = band(flags, DUP_NAMES) ~= 0
  for i = 0, compiled.name_count - 1 do
    local at = i * size
    local name = ffi_string(names + at + 2)
    local cap = res[bor(lshift(names[at], 8), names[at + 1])]
    if not dup then
      res[name] = cap
    elseif cap then
      -- of groups that share a name only those that took part are listed
      local list = res[name]
      if list then
        list[#list + 1] = cap
      else
        res[name] = { cap }
      end
    end
  end
end

local function collect_captures(compiled, rc, subj, flags, res)
  local n, captures, named = compiled.ncaptures, compiled.captures, compiled.name_count
  if not res then
    res = new_tab(n, named + 1)
  end
  for i = 0, n do
    local from = i <= rc and captures[2 * i] or -1
    res[i] = from >= 0 and sub(subj, from + 1, captures[2 * i + 1])
  end
  if named > 0 then
    collect_names(compiled, flags, res)
  end
  return res
end

local function failed(rc)
  return "pcre_exec() failed: " .. rc
end

-- Where a caller's own tables are asked, their metamethods may use other patterns until the cache forgets this one:
-- `pinned` leaves it to the collector.

local re = {}
ngx.re = re

function re.match(subj, regex, opts, ctx, res)
  if type(subj) ~= "string" then
    subj = tostring(subj)
  end
  local compiled, flags = compiled_of(regex, opts)
  if not compiled then
    return nil, flags
  end
  if ctx or res then
    compiled.pinned = 1
  end
  local pos = ctx and ctx.pos
  pos = (not pos or pos <= 0) and 0 or pos - 1
  local rc = exec(compiled, flags, subj, #subj, pos)
  if rc < 0 then
    if rc == NOMATCH then
      return nil
    end
    return nil, failed(rc)
  end
  if ctx then
    ctx.pos = compiled.captures[1] + 1
  end
  return collect_captures(compiled, rc == 0 and 1 or rc, subj, flags, res)
end

function re.find(subj, regex, opts, ctx, nth)
  if type(subj) ~= "string" then
    subj = tostring(subj)
  end
  local compiled, flags = compiled_of(regex, opts)
  if not compiled then
    return nil, nil, flags
  end
  if ctx then
    compiled.pinned = 1
  end
  local pos = ctx and ctx.pos
  pos = (not pos or pos <= 0) and 0 or pos - 1
  local rc = exec(compiled, flags, subj, #subj, pos)
  if rc < 0 then
    if rc == NOMATCH then
      return nil
    end
    return nil, nil, failed(rc)
  end
  local captures = compiled.captures
  if ctx then
    ctx.pos = captures[1] + 1
  end
  if not nth or nth < 0 then
    return captures[0] + 1, captures[1]
  elseif nth > compiled.ncaptures then
    return nil, nil, "nth out of bound"
  elseif nth >= (rc == 0 and 1 or rc) then
    return nil, nil
  end
  local from, to = captures[nth * 2] + 1, captures[nth * 2 + 1]
  if from < 0 or to < 0 then
    return nil, nil
  end
  return from, to
end

local function exhaust(self, ...)
  self._compiled, self._pos, self._subj = nil, nil, nil
  return ...
end

local iterator = {}

function iterator.__call(self)
  local pos = self._pos
  if not pos then
    return nil
  end
  local compiled, subj, flags = self._compiled, self._subj, self._flags
  local rc = exec(compiled, flags, subj, #subj, pos)
  if rc < 0 then
    if rc == NOMATCH then
      return exhaust(self, nil)
    end
    return exhaust(self, nil, failed(rc))
  end
  rc = rc == 0 and 1 or rc
  local to = compiled.captures[1]
  if to <= compiled.captures[0] then
    to = to + 1
    if to > #subj then
      return exhaust(self, (collect_captures(compiled, rc, subj, flags)))
    end
  end
  self._pos = to
  return (collect_captures(compiled, rc, subj, flags))
end

function re.gmatch(subj, regex, opts)
  if type(subj) ~= "string" then
    subj = tostring(subj)
  end
  local compiled, flags = compiled_of(regex, opts)
  if not compiled then
    return nil, flags
  end
  compiled.pinned = 1
  return setmetatable({ _compiled = compiled, _subj = subj, _flags = flags, _pos = 0 }, iterator)
end

local function replace_by(subj, regex, replace, opts, global)
  local compiled, flags = compiled_of(regex, opts)
  if not compiled then
    return nil, nil, flags
  end
  compiled.pinned = 1
  if type(subj) ~= "string" then
    subj = tostring(subj)
  end
  local out, n, copied, pos, count = {}, 0, 0, 0, 0
  repeat
    local rc = exec(compiled, flags, subj, #subj, pos)
    if rc == NOMATCH then
      break
    elseif rc < 0 then
      return nil, nil, failed(rc)
    end
    count = count + 1
    -- the function may use the same pattern
    local from, to = compiled.captures[0], compiled.captures[1]
    local piece = tostring(replace(collect_captures(compiled, rc == 0 and 1 or rc, subj, flags)))
    if from > copied then
      n = n + 1
      out[n] = sub(subj, copied + 1, from)
    end
    n = n + 1
    out[n] = piece
    copied = to > copied and to or copied
    pos = to > from and to or from + 1
  until not global or pos > #subj
  if count == 0 then
    return subj, 0
  end
  if copied < #subj then
    out[n + 1] = sub(subj, copied + 1)
  end
  return concat(out), count
end

local replaced = ffi.new("moongate_replaced_t")
local write = require("moongate.ops").ngx_log.write

local function replace_text(subj, regex, replace, opts, global)
  if type(subj) ~= "string" then
    subj = tostring(subj)
  end
  local compiled, flags = compiled_of(regex, opts)
  if not compiled then
    return nil, nil, flags
  end
  local count = c_replace(compiled, flags, subj, #subj, replace, #replace, global and 1 or 0, replaced)
  if count > 0 then
    return ffi_string(replaced.data, replaced.len), count
  elseif count == 0 or count == NOMATCH then
    return subj, 0
  elseif count == BAD_TEMPLATE then
    write(4, ffi_string(replaced.data, replaced.len))
    return nil, nil, "failed to compile the replacement template"
  elseif count == TOO_LARGE then
    return nil, nil, "replacement too large"
  end
  return nil, nil, failed(count)
end

local function substitute(subj, regex, replace, opts, global)
  local kind = type(replace)
  if kind == "function" then
    return replace_by(subj, regex, replace, opts, global)
  elseif kind ~= "string" then
    replace = tostring(replace)
  end
  return replace_text(subj, regex, replace, opts, global)
end

function re.sub(subj, regex, replace, opts)
  return substitute(subj, regex, replace, opts, false)
end

function re.gsub(subj, regex, replace, opts)
  return substitute(subj, regex, replace, opts, true)
end

-- For `ngx.re` and `resty.core.regex`.
package.loaded["moongate.ngx.re"] = {
  exec = exec,
  compiled_of = compiled_of,
  collect_captures = collect_captures,
  failed = failed,
  set_jit_stack = c_set_jit_stack,
  is_cache_empty = function()
    return not once_used
  end,
  -- A pattern handed to a stranger: the cache may forget it, the collector frees it.
  compile = function(regex, opts)
    local compiled, flags = compiled_of(regex, opts)
    if not compiled then
      return nil, flags
    end
    compiled.pinned = 1
    return compiled, true, flags
  end,
}
