-- `resty.lrucache`: a cache of Lua values that forgets what was used least recently.

local M = { _VERSION = "0.13" }
M.__index = M

-- Each item is a node of a ring: head.next is the one used last, head.prev the one to forget.
local function unlink(node)
  node.prev.next, node.next.prev = node.next, node.prev
end

local function link_first(head, node)
  node.prev, node.next = head, head.next
  head.next.prev, head.next = node, node
end

local function empty(self)
  local head = {}
  head.prev, head.next = head, head
  self.head, self.nodes, self.items = head, {}, 0
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

--- The value and its flags; nil, and the stale value and its flags once it has expired.
function M:get(key)
  local node = self.nodes[key]
  if not node then
    return nil
  end
  unlink(node)
  link_first(self.head, node)
  if node.expires and node.expires < ngx.now() then
    return nil, node.value, node.flags
  end
  return node.value, nil, node.flags
end

--- Keeps a value, for `ttl` seconds if given, with integer flags.
function M:set(key, value, ttl, flags)
  local node = self.nodes[key]
  if node then
    unlink(node)
  elseif self.items < self.size then
    node = { key = key }
    self.items = self.items + 1
    self.nodes[key] = node
  else
    node = self.head.prev
    unlink(node)
    self.nodes[node.key] = nil
    node.key = key
    self.nodes[key] = node
  end
  node.value = value
  node.expires = ttl and ngx.now() + ttl or nil
  node.flags = type(flags) == "number" and flags >= 0 and flags or 0
  link_first(self.head, node)
end

function M:delete(key)
  local node = self.nodes[key]
  if node then
    unlink(node)
    self.nodes[key] = nil
    self.items = self.items - 1
  end
  return node ~= nil
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
  local n, node = 0, self.head.next
  while node ~= self.head and not (max and max > 0 and n >= max) do
    n = n + 1
    res[n] = node.key
    node = node.next
  end
  res[n + 1] = nil
  return res
end

function M:flush_all()
  empty(self)
end

return M
