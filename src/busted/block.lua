-- Running the parts of a block: its support functions, in order, and its children.

local shuffle = require("busted.order").shuffle
local sort_by_name = require("busted.order").sort_by_name

return function(core)
  local block = {}
  local context = core.context
  local root = context.get()

  function block.reject(word, element)
    element.env[word] = function()
      error("'" .. word .. "' not supported inside current context block", 2)
    end
  end

  -- Tests and support functions may not register anything.
  function block.rejectAll(element)
    element.env = element.env or {}
    block.reject("randomize", element)
    for word in pairs(core.executors) do
      if root.env[word] then
        block.reject(word, element)
      end
    end
  end

  local function run(descriptor, element)
    block.rejectAll(element)
    return core.safe(descriptor, element.run, element):success()
  end

  local function run_list(descriptor, element)
    local success = true
    for _, support in ipairs(element[descriptor] or {}) do
      if not run(descriptor, support) then
        success = false
      end
    end
    return success
  end

  -- before_each: outermost first. Stops at the first element that fails and returns
  -- it, so that only what was entered is left again.
  function block.before_each(element)
    local parent = context.parent(element)
    if parent then
      local success, reached = block.before_each(parent)
      if not success then return false, reached end
    end
    return run_list("before_each", element), element
  end

  -- after_each: innermost first, all of them.
  function block.after_each(element)
    while element do
      run_list("after_each", element)
      element = context.parent(element)
    end
  end

  -- Runs each lazy_setup around `element` that has not run yet, outermost first.
  function block.lazy_setup(element)
    local parent = context.parent(element)
    if parent and not block.lazy_setup(parent) then
      return false
    end
    element.lazy_setup = element.lazy_setup or {}
    if element.lazy_setup.success == nil then
      element.lazy_setup.success = run_list("lazy_setup", element)
    end
    return element.lazy_setup.success
  end

  function block.lazy_teardown(element)
    if element.lazy_setup and element.lazy_setup.success ~= nil then
      run_list("lazy_teardown", element)
      element.lazy_setup.success = nil
    end
  end

  function block.strict_setup(element)
    return run_list("strict_setup", element)
  end

  function block.strict_teardown(element)
    return run_list("strict_teardown", element)
  end

  -- Runs a file or describe: its function registers the children, then they run.
  function block.execute(descriptor, element)
    element.env = element.env or {}
    local randomize, seed = core.randomize, core.randomseed
    element.env.randomize = function(...)
      local first, second = ...
      randomize = select("#", ...) == 0 or first
      if randomize then
        seed = tonumber(first) or tonumber(second) or seed
      end
    end

    if not core.safe(descriptor, element.run, element):success() then return end
    if core.sort then
      sort_by_name(context.children(element))
    elseif randomize then
      element.randomseed = seed
      shuffle(context.children(element), seed)
    end
    if block.strict_setup(element) then
      core.execute(element)
    end
    block.lazy_teardown(element)
    block.strict_teardown(element)
  end

  return block
end
