-- `resty.lrucache`: a cache of Lua values that forgets what was used least recently.
--
-- An item is a number: its key, value, end and neighbours stand at that place in one array each, so a large
-- cache is a few large tables to the garbage collector, not one per item. Place 0 is the ring's head:
-- `next[0]` is the item used last, `prev[0]` the one to forget.

local now = require("moongate.clock")
local type, setmetatable = type, setmetatable

local M = { _VERSION = "0.15" }
M.__index = M

local function empty(self)
  self.places, self.keys, self.values = {}, {}, {}
  self.ends, self.flags = {}, {}
  self.next, self.prev = { [0] = 0 }, { [0] = 0 }
  self.items, self.used, self.free = 0, 0, 0
end

--- A cache of at most `size` items.
function M.new(size)
  if size < 1 then
    return nil, "size too small"
  end
  local self = setmetatable({ size = size }, M)
  empty(self)
  return self
end

local function unlink(self, i)
  local after, before = self.next, self.prev
  local n, p = after[i], before[i]
  after[p], before[n] = n, p
end

local function link_first(self, i)
  local after, before = self.next, self.prev
  local first = after[0]
  after[i], before[i] = first, 0
  before[first], after[0] = i, i
end

--- The value and its flags; nil, and the stale value and its flags once it has expired.
function M:get(key)
  local i = self.places[key]
  if not i then
    return nil
  end
  if self.next[0] ~= i then
    unlink(self, i)
    link_first(self, i)
  end
  local over = self.ends[i]
  if over and over < now() then
    return nil, self.values[i], self.flags[i] or 0
  end
  return self.values[i], nil, self.flags[i] or 0
end

-- A place for a new key: one that was given back, a new one, or that of the item to forget.
local function place_for(self)
  if self.items >= self.size then
    local i = self.prev[0]
    unlink(self, i)
    self.places[self.keys[i]] = nil
    return i
  end
  self.items = self.items + 1
  local i = self.free
  if i ~= 0 then
    self.free = self.next[i]
    return i
  end
  i = self.used + 1
  self.used = i
  return i
end

--- Keeps a value, for `ttl` seconds if given, with integer flags.
function M:set(key, value, ttl, flags)
  local i = self.places[key]
  if i then
    unlink(self, i)
  else
    i = place_for(self)
    self.places[key], self.keys[i] = i, key
  end
  self.values[i] = value
  -- false and not nil: the arrays stay arrays
  self.ends[i] = ttl and now() + ttl or false
  self.flags[i] = type(flags) == "number" and flags > 0 and flags or nil
  link_first(self, i)
end

function M:delete(key)
  local i = self.places[key]
  if not i then
    return false
  end
  unlink(self, i)
  self.places[key] = nil
  self.keys[i], self.values[i], self.ends[i], self.flags[i] = false, false, false, nil
  self.next[i], self.free = self.free, i
  self.items = self.items - 1
  return true
end

function M:count()
  return self.items
end

function M:capacity()
  return self.size
end

--- The keys, the one used last first.
function M:get_keys(max, res)
  res = res or {}
  local n, i = 0, self.next[0]
  while i ~= 0 and not (max and max > 0 and n >= max) do
    n = n + 1
    res[n] = self.keys[i]
    i = self.next[i]
  end
  res[n + 1] = nil
  return res
end

function M:flush_all()
  empty(self)
end

return M
