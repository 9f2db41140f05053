-- `binaryheap`: the least (or greatest) value first; a unique heap also knows each value's payload.

local M = {}
local floor = math.floor

local function plain(before)
  return { values = {}, before = before }
end

local heap = {}
heap.__index = heap

function heap:swap(a, b)
  local v, p = self.values, self.payloads
  v[a], v[b] = v[b], v[a]
  if p then
    p[a], p[b] = p[b], p[a]
    self.reverse[p[a]], self.reverse[p[b]] = a, b
  end
end

function heap:bubbleUp(pos)
  while pos > 1 do
    local parent = floor(pos / 2)
    if not self.before(self.values[pos], self.values[parent]) then
      return
    end
    self:swap(pos, parent)
    pos = parent
  end
end

function heap:sinkDown(pos)
  local v, before = self.values, self.before
  while true do
    local least, left = pos, pos * 2
    for child = left, left + 1 do
      if v[child] ~= nil and before(v[child], v[least]) then
        least = child
      end
    end
    if least == pos then
      return
    end
    self:swap(pos, least)
    pos = least
  end
end

function heap:erase(pos)
  local n = #self.values
  if pos > n or pos < 1 then
    return
  end
  local value = self.values[pos]
  if pos ~= n then
    self:swap(pos, n)
  end
  self.values[n] = nil
  if pos < n then
    self:bubbleUp(pos)
    self:sinkDown(pos)
  end
  return value
end

heap.size = function(self)
  return #self.values
end

local function insert_value(self, value)
  assert(value ~= nil, "cannot add 'nil' as value")
  local pos = #self.values + 1
  self.values[pos] = value
  return pos
end

local plain_heap = setmetatable({}, { __index = heap })

function plain_heap:insert(value)
  self:bubbleUp(insert_value(self, value))
end

function plain_heap:remove(pos)
  return self:erase(pos)
end

function plain_heap:update(pos, value)
  assert(value ~= nil, "cannot add 'nil' as value")
  self.values[pos] = value
  self:bubbleUp(pos)
  self:sinkDown(pos)
end

function plain_heap:pop()
  if self.values[1] ~= nil then
    return self:erase(1)
  end
end

function plain_heap:peek()
  return self.values[1]
end

local unique_heap = setmetatable({}, { __index = heap })

function unique_heap:insert(value, payload)
  assert(self.reverse[payload] == nil, "duplicate payload")
  local pos = insert_value(self, value)
  self.payloads[pos] = payload
  self.reverse[payload] = pos
  self:bubbleUp(pos)
end

function unique_heap:remove(payload)
  local pos = self.reverse[payload]
  if pos == nil then
    return
  end
  local value = self:erase(pos)
  self.payloads[#self.values + 1] = nil
  self.reverse[payload] = nil
  return value, payload
end

function unique_heap:update(payload, value)
  assert(value ~= nil, "cannot add 'nil' as value")
  local pos = self.reverse[payload]
  self.values[pos] = value
  self:bubbleUp(pos)
  self:sinkDown(pos)
end

function unique_heap:pop()
  if self.values[1] ~= nil then
    local value, payload = self:remove(self.payloads[1])
    return payload, value
  end
end

function unique_heap:peek()
  return self.payloads[1], self.values[1]
end

function unique_heap:peekValue()
  return self.values[1]
end

function unique_heap:valueByPayload(payload)
  return self.values[self.reverse[payload]]
end

local function less(a, b)
  return a < b
end

local function greater(a, b)
  return a > b
end

local function unique(before)
  local new = plain(before)
  new.payloads, new.reverse = {}, {}
  return setmetatable(new, { __index = unique_heap })
end

function M.minHeap(lt)
  return setmetatable(plain(lt or less), { __index = plain_heap })
end

function M.maxHeap(gt)
  return setmetatable(plain(gt or greater), { __index = plain_heap })
end

function M.minUnique(lt)
  return unique(lt or less)
end

function M.maxUnique(gt)
  return unique(gt or greater)
end

return M
