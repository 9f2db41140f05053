-- `pl.tablex`: functions over tables.

local List = require "pl.List"
local utils = require "pl.utils"

local M = {}

--- Deep equality; metatables with __eq decide themselves unless told otherwise; `eps` for numbers.
function M.deepcompare(a, b, ignore_mt, eps)
  if type(a) ~= type(b) then
    return false
  end
  if type(a) ~= "table" then
    if eps and type(a) == "number" then
      return math.abs(a - b) < eps
    end
    return a == b
  end
  if a == b then
    return true
  end
  local mt = getmetatable(a)
  if not ignore_mt and type(mt) == "table" and mt.__eq then
    return a == b
  end
  for k in pairs(a) do
    if b[k] == nil then
      return false
    end
  end
  for k, v in pairs(b) do
    if a[k] == nil or not M.deepcompare(a[k], v, ignore_mt, eps) then
      return false
    end
  end
  return true
end

--- Whether two lists have the same items in any order.
function M.compare_no_order(a, b, same)
  if #a ~= #b then
    return false
  end
  local used = {}
  for _, v in ipairs(a) do
    local found
    for i, w in ipairs(b) do
      if not used[i] and (same and same(v, w) or not same and v == w) then
        found = i
        break
      end
    end
    if not found then
      return false
    end
    used[found] = true
  end
  return true
end

function M.copy(t)
  local new = {}
  for k, v in pairs(t) do
    new[k] = v
  end
  return new
end

--- A copy all the way down; cycles stay cycles, metatables are shared.
function M.deepcopy(t, seen)
  if type(t) ~= "table" then
    return t
  end
  seen = seen or {}
  if seen[t] then
    return seen[t]
  end
  local new = {}
  seen[t] = new
  for k, v in pairs(t) do
    new[M.deepcopy(k, seen)] = M.deepcopy(v, seen)
  end
  return setmetatable(new, getmetatable(t))
end

function M.update(t, with)
  for k, v in pairs(with) do
    t[k] = v
  end
  return t
end

--- Fields in both (of the first), or with `all` fields of either (the second wins).
function M.merge(a, b, all)
  local new = {}
  for k, v in pairs(a) do
    if all or b[k] ~= nil then
      new[k] = v
    end
  end
  if all then
    M.update(new, b)
  end
  return new
end

function M.union(a, b)
  return M.merge(a, b, true)
end

function M.intersection(a, b)
  return M.merge(a, b, false)
end

function M.difference(a, b, symmetric)
  local new = {}
  for k, v in pairs(a) do
    if b[k] == nil then
      new[k] = v
    end
  end
  for k, v in pairs(symmetric and b or {}) do
    if a[k] == nil then
      new[k] = v
    end
  end
  return new
end

function M.keys(t)
  local keys = List()
  for k in pairs(t) do
    keys:append(k)
  end
  return keys
end

function M.values(t)
  local values = List()
  for _, v in pairs(t) do
    values:append(v)
  end
  return values
end

function M.size(t)
  local n = 0
  for _ in pairs(t) do
    n = n + 1
  end
  return n
end

function M.map(f, t, ...)
  f = utils.function_arg(1, f)
  local new = {}
  for k, v in pairs(t) do
    new[k] = f(v, ...)
  end
  return setmetatable(new, getmetatable(t))
end

function M.imap(f, t, ...)
  f = utils.function_arg(1, f)
  local new = List()
  for i = 1, #t do
    new[i] = f(t[i], ...) or false
  end
  return new
end

function M.foreach(t, f, ...)
  for k, v in pairs(t) do
    f(v, k, ...)
  end
end

function M.foreachi(t, f, ...)
  for i = 1, #t do
    f(t[i], i, ...)
  end
end

--- Applies `f(key, value)`; a second result names the new key.
function M.pairmap(f, t, ...)
  f = utils.function_arg(1, f)
  local new = {}
  for k, v in pairs(t) do
    local value, key = f(k, v, ...)
    if key ~= nil then
      new[key] = value
    else
      new[#new + 1] = value
    end
  end
  return new
end

function M.filter(t, test, arg)
  test = utils.function_arg(2, test)
  local new = List()
  for i = 1, #t do
    if test(t[i], arg) then
      new:append(t[i])
    end
  end
  return new
end

function M.reduce(f, t, memo)
  local from = 1
  if memo == nil then
    memo, from = t[1], 2
  end
  for i = from, #t do
    memo = f(memo, t[i])
  end
  return memo
end

function M.find(t, value, from)
  from = from or 1
  for i = from < 0 and #t + from + 1 or from, #t do
    if t[i] == value then
      return i
    end
  end
end

function M.rfind(t, value)
  for i = #t, 1, -1 do
    if t[i] == value then
      return i
    end
  end
end

--- The first index whose item passes (with what the test answered).
function M.find_if(t, test, arg)
  for i = 1, #t do
    local answer = test(t[i], arg)
    if answer then
      return i, answer
    end
  end
end

--- The key of a value, deep down as a dotted path.
function M.search(t, value)
  for k, v in pairs(t) do
    if v == value then
      return k
    end
  end
end

function M.index_map(t)
  local new = {}
  for i, v in ipairs(t) do
    new[v] = i
  end
  return new
end
M.invert = M.index_map

function M.makeset(t)
  local set = {}
  for _, v in ipairs(t) do
    set[v] = true
  end
  return set
end

function M.range(first, last, step)
  return List.range(first, last, step)
end

function M.sub(t, first, last)
  return List(t):slice(first, last)
end

function M.insertvalues(t, at, values)
  if not values then
    at, values = #t + 1, at
  end
  for i, v in ipairs(values) do
    table.insert(t, at + i - 1, v)
  end
  return t
end

function M.removevalues(t, first, last)
  for _ = first, last or first do
    table.remove(t, first)
  end
  return t
end

function M.clear(t, first)
  for i = #t, first or 1, -1 do
    t[i] = nil
  end
end

local function ordered(t, pick, before)
  local keys = {}
  for k in pairs(t) do
    keys[#keys + 1] = k
  end
  before = before or function(a, b) return a < b end
  table.sort(keys, function(a, b) return before(pick(a), pick(b)) end)
  local i = 0
  return function()
    i = i + 1
    return keys[i], t[keys[i]]
  end
end

--- Iterates in the order of the keys.
function M.sort(t, before)
  return ordered(t, function(k) return k end, before)
end

--- Iterates in the order of the values.
function M.sortv(t, before)
  return ordered(t, function(k) return t[k] end, before)
end

--- A view that raises when written to.
function M.readonly(t)
  return setmetatable({}, {
    __index = t,
    __len = function() return #t end,
    __pairs = function() return pairs(t) end,
    __newindex = function() error("Attempt to modify read-only table", 2) end,
    __metatable = false,
  })
end

require "moongate.libs.tablex_pairs"(M)

return M
