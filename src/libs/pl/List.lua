-- `pl.List`: a list with methods.

local List = { _name = "List" }
List.__index = List

local function new(_, items)
  local list = {}
  if type(items) == "function" then
    for v in items do
      list[#list + 1] = v
    end
  else
    for i, v in ipairs(items or {}) do
      list[i] = v
    end
  end
  return setmetatable(list, List)
end

setmetatable(List, { __call = new })
List.new = function(items) return new(List, items) end

function List:append(v)
  self[#self + 1] = v
  return self
end
List.push = List.append

function List:extend(items)
  for _, v in ipairs(items) do
    self[#self + 1] = v
  end
  return self
end

function List:insert(i, v)
  table.insert(self, i, v)
  return self
end

function List:put(v)
  return self:insert(1, v)
end

function List:remove(i)
  table.remove(self, i)
  return self
end

function List:pop(i)
  return table.remove(self, i or #self)
end

function List:index(v, from)
  for i = from or 1, #self do
    if self[i] == v then
      return i
    end
  end
end

function List:contains(v)
  return self:index(v) ~= nil
end

function List:remove_value(v)
  local i = self:index(v)
  if i then
    table.remove(self, i)
  end
  return self
end

function List:count(v)
  local n = 0
  for _, x in ipairs(self) do
    n = n + (x == v and 1 or 0)
  end
  return n
end

function List:clear()
  for i = #self, 1, -1 do
    self[i] = nil
  end
  return self
end

function List:sort(before)
  table.sort(self, before == "<" and function(a, b) return a < b end
    or before == ">" and function(a, b) return a > b end or before)
  return self
end

function List:sorted(before)
  return new(List, self):sort(before)
end

function List:reverse()
  local n = #self
  for i = 1, math.floor(n / 2) do
    self[i], self[n + 1 - i] = self[n + 1 - i], self[i]
  end
  return self
end

function List:slice(first, last)
  first, last = first or 1, last or #self
  first = first < 0 and #self + first + 1 or first
  last = last < 0 and #self + last + 1 or last
  local part = new(List)
  for i = first, math.min(last, #self) do
    part:append(self[i])
  end
  return part
end

function List:clone()
  return new(List, self)
end

function List:map(f, ...)
  local out = new(List)
  for _, v in ipairs(self) do
    out:append(f(v, ...))
  end
  return out
end

function List:filter(test, ...)
  local out = new(List)
  for _, v in ipairs(self) do
    if test(v, ...) then
      out:append(v)
    end
  end
  return out
end

function List:foreach(f, ...)
  for _, v in ipairs(self) do
    f(v, ...)
  end
end

function List:iter()
  local i = 0
  return function()
    i = i + 1
    return self[i]
  end
end

function List:len()
  return #self
end

function List:concat(sep)
  return table.concat(self, sep)
end

function List:join(sep)
  return table.concat(self:map(tostring), sep or "")
end

function List:__concat(other)
  return new(List, self):extend(other)
end

function List:__eq(other)
  if #self ~= #other then
    return false
  end
  for i, v in ipairs(self) do
    if other[i] ~= v then
      return false
    end
  end
  return true
end

function List:__tostring()
  return "{" .. self:map(function(v) return type(v) == "string" and '"' .. v .. '"' or tostring(v) end):concat(",")
    .. "}"
end

function List.range(first, last, step)
  if not last then
    first, last = 1, first
  end
  local list = new(List)
  for i = first, last, step or 1 do
    list:append(i)
  end
  return list
end

return List
