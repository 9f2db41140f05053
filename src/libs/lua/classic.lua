-- `kong.vendor.classic`: classes by `Object:extend()`; calling a class makes an object and runs its `new`.

local Object = {}
Object.__index = Object

function Object:new() end

--- A subclass: it starts with the metamethods of its parent and finds the rest there.
function Object:extend()
  local class = {}
  for k, v in pairs(self) do
    if type(k) == "string" and k:sub(1, 2) == "__" then
      class[k] = v
    end
  end
  class.__index = class
  class.super = self
  return setmetatable(class, self)
end

--- Takes the functions of other classes that this one lacks.
function Object:implement(...)
  for _, class in ipairs { ... } do
    for k, v in pairs(class) do
      if self[k] == nil and type(v) == "function" then
        self[k] = v
      end
    end
  end
end

--- Whether an object is of a class or of one that extends it.
function Object:is(class)
  local own = getmetatable(self)
  while own do
    if own == class then
      return true
    end
    own = getmetatable(own)
  end
  return false
end

function Object:__tostring()
  return "Object"
end

function Object:__call(...)
  local object = setmetatable({}, self)
  object:new(...)
  return object
end

return Object
