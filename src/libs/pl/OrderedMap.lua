-- `pl.OrderedMap`: a map that remembers the order its keys came in.

local Map = { _name = "OrderedMap" }
local keys_of = setmetatable({}, { __mode = "k" })

function Map.set(self, key, value)
  local keys = keys_of[self]
  if rawget(self, key) == nil and value ~= nil then
    keys[#keys + 1] = key
  elseif value == nil then
    for i, k in ipairs(keys) do
      if k == key then
        table.remove(keys, i)
        break
      end
    end
  end
  rawset(self, key, value)
  return self
end

function Map.insert(self, at, key, value)
  if value == nil then
    at, key, value = nil, at, key
  end
  Map.set(self, key, nil)
  rawset(self, key, value)
  local keys = keys_of[self]
  table.insert(keys, at or #keys + 1, key)
  return self
end

function Map.update(self, other)
  if keys_of[other] then
    for k, v in other:iter() do self:set(k, v) end
  elseif #other > 0 then
    for _, pair in ipairs(other) do
      local k, v = next(pair)
      self:set(k, v)
    end
  else
    for k, v in pairs(other) do self:set(k, v) end
  end
  return self
end

function Map.keys(self)
  local out = {}
  for i, k in ipairs(keys_of[self]) do out[i] = k end
  return out
end

function Map.values(self)
  local out = {}
  for i, k in ipairs(keys_of[self]) do out[i] = rawget(self, k) end
  return out
end

function Map.sort(self, cmp)
  table.sort(keys_of[self], cmp)
  return self
end

function Map.len(self)
  return #keys_of[self]
end

function Map.iter(self)
  local keys, i = keys_of[self], 0
  return function()
    i = i + 1
    if keys[i] ~= nil then
      return keys[i], rawget(self, keys[i])
    end
  end
end

local mt = { __index = Map, __newindex = Map.set, __pairs = Map.iter, __len = Map.len }

function mt.__tostring(self)
  local out = {}
  for k, v in self:iter() do
    out[#out + 1] = tostring(k) .. "=" .. (type(v) == "string" and ("%q"):format(v) or tostring(v))
  end
  return "{" .. table.concat(out, ",") .. "}"
end

return setmetatable({}, {
  __index = Map,
  __call = function(_, from)
    local self = setmetatable({}, mt)
    keys_of[self] = {}
    if from then
      self:update(from)
    end
    return self
  end,
})
