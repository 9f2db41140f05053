-- `kong.tools.table`: copying, merging and asking about tables.

local clone = require "table.clone"
local isarray = require "table.isarray"

local M = {}

--- The empty table that nobody may write to.
M.EMPTY = setmetatable({}, {
  __newindex = function()
    error("Attempt to modify read-only table", 2)
  end,
  __metatable = false,
})

function M.pack(...)
  return { n = select("#", ...), ... }
end

function M.unpack(t, i, j)
  return unpack(t, i or 1, j or t.n or #t)
end

local function overlay(t1, t2, wins)
  local res = {}
  for k, v in pairs(t1 or {}) do
    res[k] = v
  end
  for k, v in pairs(t2 or {}) do
    if wins(res[k], v) then
      res[k] = v
    end
  end
  return res
end

--- A new table with the fields of both; `t2` wins.
function M.table_merge(t1, t2)
  return overlay(t1, t2, function() return true end)
end

--- As `table_merge`, but a null does not win.
function M.null_aware_table_merge(t1, t2)
  return overlay(t1, t2, function(old, new) return old == nil or new ~= ngx.null end)
end

--- Whether a value is in a table.
function M.table_contains(arr, val)
  for _, v in pairs(arr or {}) do
    if v == val then
      return true
    end
  end
  return false
end

local function strict(t)
  local max, count = 0, 0
  for k in pairs(t) do
    if type(k) ~= "number" or k < 1 or k % 1 ~= 0 then
      return false
    end
    max, count = math.max(max, k), count + 1
  end
  return max == count
end

--- Whether `t` is a list whose indices may be strings, as form fields have them.
function M.is_lapis_array(t)
  if type(t) ~= "table" then
    return false
  end
  local i = 0
  for _ in pairs(t) do
    i = i + 1
    if t[i] == nil and t[tostring(i)] == nil then
      return false
    end
  end
  return true
end

--- Whether `t` is an array; mode "strict" (default), "fast" or "lapis".
function M.is_array(t, mode)
  if type(t) ~= "table" then
    return false
  elseif mode == "lapis" then
    return M.is_lapis_array(t)
  elseif mode == "fast" then
    return isarray(t)
  end
  return strict(t)
end

--- A copy of tables all the way down (cycles are not followed), metatables too unless `copy_mt` is false.
function M.deep_copy(orig, copy_mt)
  if type(orig) ~= "table" then
    return orig
  end
  local copy = {}
  for k, v in next, orig do
    copy[M.deep_copy(k)] = M.deep_copy(v, copy_mt)
  end
  if copy_mt ~= false then
    setmetatable(copy, M.deep_copy(getmetatable(orig)))
  end
  return copy
end

--- A copy of the outermost table.
function M.shallow_copy(orig)
  return type(orig) == "table" and clone(orig) or orig
end

--- A deep copy of `t1` with the fields of `t2` laid over it, table by table.
function M.deep_merge(t1, t2)
  local res = M.deep_copy(t1)
  for k, v in pairs(t2) do
    if type(v) == "table" and type(res[k]) == "table" then
      res[k] = M.deep_merge(res[k], v)
    else
      res[k] = M.deep_copy(v)
    end
  end
  return res
end

--- A deep copy in which a table met twice is copied once.
function M.cycle_aware_deep_copy(orig, remove_metatables, deep_copy_keys, seen)
  if type(orig) ~= "table" then
    return orig
  end
  seen = seen or {}
  if seen[orig] then
    return seen[orig]
  end
  local copy = {}
  seen[orig] = copy
  for k, v in pairs(orig) do
    if deep_copy_keys then
      k = M.cycle_aware_deep_copy(k, remove_metatables, true, seen)
    end
    copy[k] = M.cycle_aware_deep_copy(v, remove_metatables, deep_copy_keys, seen)
  end
  local mt = not remove_metatables and getmetatable(orig)
  if type(mt) == "table" then -- one that is hidden cannot be copied
    setmetatable(copy, mt)
  end
  return copy
end

--- `deep_merge` on such copies.
function M.cycle_aware_deep_merge(t1, t2, remove_metatables, deep_copy_keys, seen)
  seen = seen or {}
  local merged = M.cycle_aware_deep_copy(t1, remove_metatables, deep_copy_keys, seen)
  for k, v in pairs(t2) do
    if type(v) == "table" and type(merged[k]) == "table" then
      merged[k] = M.cycle_aware_deep_merge(merged[k], v, remove_metatables, deep_copy_keys, seen)
    else
      merged[k] = M.cycle_aware_deep_copy(v, remove_metatables, deep_copy_keys, seen)
    end
  end
  return merged
end

--- The items of several lists in one.
function M.concat(...)
  local result = {}
  for _, list in ipairs { ... } do
    for _, v in ipairs(list) do
      result[#result + 1] = v
    end
  end
  return result
end

local several = {}

--- Adds `v` under `k`; a second one makes it a list.
function M.add_error(errors, k, v)
  errors = errors or {}
  local old = errors[k]
  if old == nil then
    errors[k] = v
  elseif getmetatable(old) == several then
    old[#old + 1] = v
  else
    errors[k] = setmetatable({ old, v }, several)
  end
  return errors
end

--- The value at a path of keys.
function M.table_path(t, path)
  for _, key in ipairs(path) do
    t = t[key]
    if t == nil then
      return nil
    end
  end
  return t
end

return M
