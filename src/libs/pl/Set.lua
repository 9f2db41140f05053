-- `pl.Set`: a table whose keys are the members.

local Set = {}
Set.__index = Set
Set._name = "Set"

local function new(values)
  local self = setmetatable({}, Set)
  if getmetatable(values) == Set then
    for k in pairs(values) do self[k] = true end
  elseif type(values) == "table" then
    for _, v in ipairs(values) do self[v] = true end
  elseif values ~= nil then
    self[values] = true
  end
  return self
end

local M = setmetatable({}, {
  __call = function(_, values) return new(values) end,
  __index = Set,
})

--- The members as a list.
function Set.values(self)
  local list = {}
  for k in pairs(self) do list[#list + 1] = k end
  return list
end

--- A new set of what a function makes of the members.
function Set.map(self, fn, ...)
  local out = new()
  for k in pairs(self) do out[fn(k, ...)] = true end
  return out
end

function Set.union(a, b)
  local out = new(a)
  for k in pairs(type(b) == "table" and new(b) or { [b] = true }) do out[k] = true end
  return out
end

function Set.intersection(a, b)
  local out = new()
  for k in pairs(a) do out[k] = b[k] end
  return out
end

function Set.difference(a, b)
  local out = new(a)
  for k in pairs(type(b) == "table" and new(b) or { [b] = true }) do out[k] = nil end
  return out
end

function Set.symmetric_difference(a, b)
  return Set.union(Set.difference(a, b), Set.difference(b, a))
end

function Set.issubset(a, b)
  for k in pairs(a) do
    if not b[k] then return false end
  end
  return true
end

function Set.isempty(self)
  return next(self) == nil
end

function Set.isdisjoint(a, b)
  return Set.isempty(Set.intersection(a, b))
end

function Set.len(self)
  local n = 0
  for _ in pairs(self) do n = n + 1 end
  return n
end

Set.__add, Set.__mul, Set.__sub, Set.__pow = Set.union, Set.intersection, Set.difference, Set.symmetric_difference
Set.__lt, Set.__len = Set.issubset, Set.len

function Set.__eq(a, b)
  return Set.issubset(a, b) and Set.issubset(b, a)
end

function Set.__tostring(self)
  local names = {}
  for k in pairs(self) do names[#names + 1] = tostring(k) end
  table.sort(names)
  return "[" .. table.concat(names, ",") .. "]"
end

return M
