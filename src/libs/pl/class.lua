-- `pl.class`: classes with single inheritance, `_init`, `super`, `is_a` and `class_of`.

-- Runs a class's constructor; in it `object:super(...)` runs the one that it hides, and so on upwards.
local function initialise(class, object, ...)
  local init, up = class._init, class._base
  while up and rawget(up, "_init") == init do
    up = rawget(up, "_base")
  end
  local before = rawget(object, "super")
  rawset(object, "super", up and up._init and function(self, ...)
    return initialise(up, self, ...)
  end or nil)
  local replaced = init(object, ...)
  rawset(object, "super", before)
  return replaced
end

local function construct(class, ...)
  local object = setmetatable({}, class)
  local replaced = class._init and initialise(class, object, ...)
  if replaced then
    object = setmetatable(replaced, class)
  end
  return object
end

local function is_a(object, class)
  local own = getmetatable(object)
  if not class then
    return own
  end
  while own do
    if own == class then
      return true
    end
    own = rawget(own, "_base")
  end
  return false
end

local function make(_, base, members)
  local class = {}
  if type(base) == "table" and getmetatable(base) == nil and not rawget(base, "_class") then
    base, members = base._base, base
  end
  if base then
    for k, v in pairs(base) do
      if k ~= "__index" or type(v) == "function" then
        class[k] = v
      end
    end
  end
  for k, v in pairs(members or {}) do
    class[k] = v
  end
  class.__index = class.__index or class
  class._base, class._class = base, class
  class.is_a = is_a
  class.class_of = function(self, object) return type(object) == "table" and is_a(object, self) or false end
  return setmetatable(class, { __call = construct, __index = base })
end

return setmetatable({}, {
  __call = make,
  -- class.Name(base) defines a global class.
  __index = function(_, name)
    return function(...)
      local class = make(nil, ...)
      class._name = name
      rawset(_G, name, class)
      return class
    end
  end,
})
