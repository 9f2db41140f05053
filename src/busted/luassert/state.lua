-- Formatters, parameters and spies, kept in a chain of snapshots so that a spec
-- can put everything back.

local state = {}

local snapshot_mt = {
  __call = function(self)
    self:revert()
  end,
}

-- Stands for a parameter set to nil, which hides an older value.
local NIL = {}

local current

-- Goes back to before `self` (or before the latest snapshot) was taken.
function state.revert(self)
  if not self then
    self = current
    if not self.previous then return end
  end
  if getmetatable(self) ~= snapshot_mt then
    error("Value provided is not a valid snapshot", 2)
  end
  if self.next then
    self.next:revert()
  end
  self.formatters, self.parameters = {}, {}
  for spy in pairs(self.spies) do
    self.spies[spy] = nil
    spy:revert()
  end
  setmetatable(self, nil)
  current = self.previous
  current.next = nil
end

function state.snapshot()
  local taken = setmetatable({
    formatters = {},
    parameters = {},
    spies = setmetatable({}, { __mode = "kv" }),
    previous = current,
    revert = state.revert,
  }, snapshot_mt)
  if current then
    current.next = taken
  end
  current = taken
  return taken
end

function state.add_formatter(formatter)
  table.insert(current.formatters, 1, formatter)
end

function state.remove_formatter(formatter, from)
  local level = from or current
  while level do
    for i, candidate in ipairs(level.formatters) do
      if candidate == formatter then
        table.remove(level.formatters, i)
        break
      end
    end
    level = level.previous
  end
end

-- The text of a value by the newest formatter that knows it, or nil.
function state.format_argument(value, from, fmtargs)
  local level = from or current
  while level do
    for _, formatter in ipairs(level.formatters) do
      local text = formatter(value, fmtargs)
      if text ~= nil then return text end
    end
    level = level.previous
  end
  return nil
end

function state.set_parameter(name, value)
  current.parameters[name] = value == nil and NIL or value
end

function state.get_parameter(name, from)
  local level = from or current
  while level do
    local value = level.parameters[name]
    if value == NIL then return nil end
    if value ~= nil then return value end
    level = level.previous
  end
  return nil
end

function state.add_spy(spy)
  current.spies[spy] = true
end

state.snapshot()

return state
