-- kong.vault: what needs no vault. References in configurations are resolved elsewhere.

local vault = {}

function vault.is_reference(reference)
  return type(reference) == "string" and reference:sub(1, 9) == "{vault://" and reference:sub(-1) == "}"
end

local function has_references(options, seen)
  if type(options) ~= "table" or seen[options] then
    return false
  end
  seen[options] = true
  local refs = options["$refs"]
  if type(refs) == "table" and next(refs) then
    return true
  end
  for _, value in pairs(options) do
    if has_references(value, seen) then
      return true
    end
  end
  return false
end

-- Without references there is nothing to rotate: the callback decides.
function vault.try(callback, options)
  if has_references(options, {}) then
    error("not supported: kong.vault.try", 2)
  end
  return callback(options)
end

function vault.update(options)
  if has_references(options, {}) then
    error("not supported: kong.vault.update", 2)
  end
  return options
end

for _, name in ipairs { "flush", "parse_reference", "get", "init_worker", "warmup" } do
  vault[name] = function()
    error("not supported: kong.vault." .. name, 2)
  end
end

return {
  new = function()
    return vault
  end,
}
