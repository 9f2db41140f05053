-- Comparing, copying and argument lists; shared by assertions, spies and matchers.

local util = {}

local raw_unpack = table.unpack or unpack
local arglist_mt = {}

function util.pack(...)
  return { n = select("#", ...), ... }
end

function util.unpack(list, first, last)
  return raw_unpack(list, first or 1, last or list.n or #list)
end

-- Stores arguments (or return values) with their count, so that nils are kept.
function util.make_arglist(...)
  return setmetatable(util.pack(...), arglist_mt)
end

function util.is_arglist(value)
  return debug.getmetatable(value) == arglist_mt
end

-- Empties an argument list and forgets its count.
function util.cleararglist(list)
  for i = list.n, 1, -1 do
    list[i] = nil
  end
  list.n = nil
end

-- Two tables met again while they are already being compared are taken as equal:
-- whatever differs between them is found by the comparison under way.
local function compare(a, b, ignore_mt, seen)
  if type(a) ~= "table" or type(b) ~= "table" then
    return a == b
  end
  local mt = debug.getmetatable(a)
  if mt and mt.__eq and mt == debug.getmetatable(b) then
    if not ignore_mt then return a == b end
  elseif rawequal(a, b) then
    return true
  end

  local met = seen[a]
  if not met then
    met = {}
    seen[a] = met
  end
  if met[b] then return true end
  met[b] = true

  for key, value in next, a do
    local other = b[key]
    if other == nil then
      return false, { key }
    end
    local equal, crumbs = compare(value, other, false, seen)
    if not equal then
      crumbs = crumbs or {}
      crumbs[#crumbs + 1] = key
      return false, crumbs
    end
  end
  for key in next, b do
    if a[key] == nil then
      return false, { key }
    end
  end
  return true
end

-- Deep equality. The second value is the path of keys to the first difference,
-- innermost key first. `ignore_mt` disregards `__eq` at the top level only.
function util.deepcompare(a, b, ignore_mt)
  return compare(a, b, ignore_mt, {})
end

function util.shallowcopy(value)
  if type(value) ~= "table" then return value end
  local copy = setmetatable({}, getmetatable(value))
  for k, v in next, value do
    copy[k] = v
  end
  return copy
end

-- Deep copy, sharing what was shared; spies stay themselves.
function util.deepcopy(value, copy_mt, copies)
  if type(value) ~= "table" then return value end
  copies = copies or {}
  if copies[value] then return copies[value] end

  local is_spy = require("luassert.spy").is_spy
  local copy = {}
  copies[value] = copy
  for k, v in next, value do
    copy[k] = is_spy(v) and v or util.deepcopy(v, copy_mt, copies)
  end
  local mt = debug.getmetatable(value)
  debug.setmetatable(copy, copy_mt and util.deepcopy(mt, false, copies) or mt)
  return copy
end

-- Keeps an argument list twice: `vals` as it is now, `refs` by identity.
function util.copyargs(args)
  local is_matcher = require("luassert.match").is_matcher
  local is_spy = require("luassert.spy").is_spy
  local vals = setmetatable({}, getmetatable(args))
  for k, v in next, args do
    vals[k] = (is_matcher(v) or is_spy(v)) and v or util.deepcopy(v)
  end
  return { vals = vals, refs = util.shallowcopy(args) }
end

-- Does one recorded list satisfy what a spec expects (values or matchers)?
local function satisfies(vals, refs, expected)
  local match = require("luassert.match")
  for key, value in next, vals do
    local want = expected[key]
    if match.is_matcher(want) then
      if match.is_ref_matcher(want) then value = refs[key] end
      if not want(value) then return false end
    elseif want == nil or not util.deepcompare(value, want) then
      return false
    end
  end
  for key, want in next, expected do
    if vals[key] == nil and not (match.is_matcher(want) and want(nil)) then
      return false
    end
  end
  return true
end

-- The latest of the recorded calls that satisfies `expected`, or nil.
function util.matchargs(recorded, expected)
  assert(not util.is_arglist(recorded), "expected a list of arglist-object, got an arglist")
  for i = #recorded, 1, -1 do
    local entry = recorded[i]
    if satisfies(entry.vals, entry.refs, expected) then
      return entry
    end
  end
  return nil
end

-- The first of a stub's `on_call_with` lists that a call with `args` satisfies, or nil.
function util.matchoncalls(oncalls, args)
  for _, oncall in ipairs(oncalls) do
    if satisfies(args, args, oncall.vals) then
      return oncall
    end
  end
  return nil
end

-- `table.insert` that keeps nils, by the list's field `n`.
function util.tinsert(list, ...)
  local position, value
  if select("#", ...) > 1 then
    position, value = ...
  else
    value = ...
  end
  local n = (list.n or #list) + 1
  position = position or n
  for i = n, position + 1, -1 do
    list[i] = list[i - 1]
  end
  list[position] = value
  list.n = math.max(n, position)
end

-- `table.remove` that keeps nils, by the list's field `n`.
function util.tremove(list, position)
  local n = list.n or #list
  position = position or n
  local removed = list[position]
  if position > n then
    list[position] = nil
    list.n = n
    return removed
  end
  for i = position, n do
    list[i] = list[i + 1]
  end
  list.n = math.max(n - 1, 0)
  return removed
end

function util.callable(value)
  if type(value) == "function" then return true end
  local mt = debug.getmetatable(value)
  return mt ~= nil and type(rawget(mt, "__call")) == "function"
end

function util.hastostring(value)
  if type(value) == "string" then return true end
  local mt = debug.getmetatable(value)
  return mt ~= nil and type(rawget(mt, "__tostring")) == "function"
end

-- The level, as `error` counts it for the caller, of the first frame that lies
-- outside the caller's own source file.
function util.errorlevel(level)
  level = (level or 1) + 1
  local info = debug.getinfo(level, "S")
  local own = info and info.source
  while info and (info.source == own or info.source == "=(tail call)") do
    level = level + 1
    info = debug.getinfo(level, "S")
  end
  return level - 1
end

-- Splits the tokens of `assert.is_not.called_with` into registered names, the
-- longest first, reading from the end.
function util.extract_keys(nspace, tokens)
  local namespace = require("luassert.namespaces")
  local kinds, modifiers = namespace[nspace], namespace.modifier
  local keys = {}
  local last = #tokens
  while last > 0 do
    local first
    for start = 1, last do
      local name = table.concat(tokens, "_", start, last)
      if kinds[name] or modifiers[name] then
        first = start
        table.insert(keys, 1, name)
        break
      end
    end
    if not first then
      local unknown = table.concat(tokens, "_", 1, last)
      error(("luassert: unknown modifier/%s: '%s'"):format(nspace, unknown), util.errorlevel(2))
    end
    last = first - 1
  end
  return keys
end

return util
