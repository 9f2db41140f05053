-- The outcome of a test: success, pending, failure or error.

local NAMES = {
  success = "success", pending = "pending", failure = "failure", error = "error",
  ["true"] = "success", ["false"] = "failure", ["nil"] = "error",
}

local function name_of(status)
  return NAMES[tostring(status)] or "error"
end

return function(initial)
  local current = name_of(initial)
  local status = {}

  for _, name in ipairs { "success", "pending", "failure", "error" } do
    status[name] = function() return current == name end
  end

  function status.get()
    return current
  end

  function status:set(new)
    current = name_of(new)
  end

  -- A failure or error stays; pending gives way to either.
  function status:update(new)
    new = name_of(new)
    if current == "success" or (current == "pending" and new ~= "success") then
      current = new
    end
  end

  return setmetatable(status, { __tostring = function() return current end })
end
