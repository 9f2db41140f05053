-- The environment that spec files run in: a name is looked up in the running
-- element, then outward through its parents, then in _G; an assignment stays in
-- the running element.

return function(context)
  local environment = {}

  local proxy = setmetatable({}, {
    __index = function(_, key)
      local element = context.get()
      while element do
        local env = element.env
        local value = env and env[key]
        if value ~= nil then return value end
        element = context.parent(element)
      end
      return _G[key]
    end,
    __newindex = function(_, key, value)
      local element = context.get()
      element.env = element.env or {}
      element.env[key] = value
    end,
  })

  function environment.wrap(fn)
    return setfenv(fn, proxy)
  end

  function environment.set(key, value)
    local element = context.get()
    element.env = element.env or {}
    element.env[key] = value
  end

  return environment
end
