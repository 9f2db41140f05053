-- The tree of elements (suite, file, describe, it, ...), the stack of those being
-- run, and what insulation saves and restores.

local SUITE = { descriptor = "suite", attributes = {} }

local function copy(t)
  local result = {}
  for k, v in next, t do
    result[k] = v
  end
  return result
end

local function save()
  return { globals = copy(_G), metatable = debug.getmetatable(_G), loaded = copy(package.loaded) }
end

local function put_back(t, saved)
  for key in next, copy(t) do
    rawset(t, key, saved[key])
  end
  for key, value in next, saved do
    rawset(t, key, value)
  end
end

local function restore(saved)
  debug.setmetatable(_G, saved.metatable)
  put_back(_G, saved.globals)
  put_back(package.loaded, saved.loaded)
end

return function()
  local context = {}
  local root, current, parents, children, stack, states

  function context.clear()
    root = copy(SUITE)
    root.attributes = {}
    current = root
    parents, children, stack, states = {}, {}, {}, {}
  end
  context.clear()

  -- The current element, or one of its fields.
  function context.get(key)
    if key == nil then return current end
    return current[key]
  end

  function context.set(key, value)
    current[key] = value
  end

  function context.attach(child)
    children[current] = children[current] or {}
    table.insert(children[current], child)
    parents[child] = current
  end

  function context.children(element)
    return children[element] or {}
  end

  function context.parent(element)
    return parents[element]
  end

  -- Lets what `element` assigns to globals land `levels` elements further out.
  local function write_outward(element, levels)
    local target = element
    for _ = 1, levels do
      target = target and parents[target]
    end
    element.env = element.env or {}
    setmetatable(element.env, {
      __newindex = function(_, key, value)
        if target then
          target.env = target.env or {}
          target.env[key] = value
        else
          _G[key] = value
        end
      end,
    })
  end

  local function enter(element)
    local mode = element.attributes.envmode
    local state = false
    if mode == "insulate" then
      state = save()
    elseif mode == "unwrap" then
      write_outward(element, 1)
    elseif mode == "expose" then
      write_outward(element, 2)
    end
    states[#states + 1] = state
  end

  local function leave(element)
    local state = table.remove(states)
    if element.attributes.envmode == "expose" and states[#states] then
      -- What was exposed becomes part of what the surrounding insulation restores to.
      states[#states] = save()
    end
    if state then
      restore(state)
    end
  end

  function context.push(element)
    if element ~= root and not parents[element] then
      error("Detached child. Cannot push.")
    end
    if element ~= current then
      enter(element)
    end
    stack[#stack + 1] = current
    current = element
  end

  function context.pop()
    local left = current
    current = table.remove(stack)
    if current ~= left then
      leave(left)
    end
    if not current then
      error("Context stack empty. Cannot pop.")
    end
  end

  return context
end
