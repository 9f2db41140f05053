-- Insulation unloads modules, so a module with C declarations may be loaded again. FFI
-- refuses to declare or bind a type twice: here the same request answers as before.

local patched = false

local function remember(ffi, name)
  local original = ffi[name]
  local done, answers = {}, {}
  ffi[name] = function(key, ...)
    -- With "$" parameters the same text can mean different types.
    if type(key) ~= "string" or key:find("$", 1, true) then
      return original(key, ...)
    end
    if not done[key] then
      local ok, answer = pcall(original, key, ...)
      if not ok then error(answer, 2) end
      done[key], answers[key] = true, answer
    end
    return answers[key]
  end
end

return function()
  if patched then return end
  local ok, ffi = pcall(require, "ffi")
  if not ok then return end
  patched = true
  for _, name in ipairs { "cdef", "typeof", "metatype", "load" } do
    remember(ffi, name)
  end
end
