-- The `$refs` of configurations: which fields came from which references. A field's entry is a reference, or,
-- for lists, sets and maps, a table of them by index.

local type, pairs, next, sort = type, pairs, next, table.sort

local M = {}

local function each_own(record, refs, callback)
  for field, reference in pairs(refs) do
    local kind = type(reference)
    if kind == "string" then
      callback(reference, record, field)
    elseif kind == "table" then
      local values = record[field]
      if type(values) == "table" then
        for index, item in pairs(reference) do
          callback(item, values, index)
        end
      end
    end
  end
end

--- Calls `callback(reference, record, field)` for each reference in `config` and the tables in it.
function M.each(config, callback)
  if type(config) ~= "table" then
    return
  end
  for key, value in pairs(config) do
    if key ~= "$refs" and type(value) == "table" then
      M.each(value, callback)
    end
  end
  local refs = config["$refs"]
  if type(refs) == "table" and next(refs) ~= nil then
    each_own(config, refs, callback)
  end
end

--- Where the references of `config` go: an array of { reference, record, field }, nil where there are none.
function M.places(config)
  local places
  M.each(config, function(reference, record, field)
    places = places or {}
    places[#places + 1] = { reference, record, field }
  end)
  return places
end

local function gather(options, found, seen)
  if type(options) ~= "table" then
    return
  end
  for key, value in pairs(options) do
    if key ~= "$refs" and type(value) == "table" then
      gather(value, found, seen)
    end
  end
  local refs = options["$refs"]
  if type(refs) ~= "table" then
    return
  end
  local function add(reference)
    if not seen[reference] then
      seen[reference] = true
      found[#found + 1] = reference
    end
  end
  for _, reference in pairs(refs) do
    if type(reference) == "string" then
      add(reference)
    elseif type(reference) == "table" then
      for _, item in pairs(reference) do
        add(item)
      end
    end
  end
end

--- The references of `options`, each once, in order; nil where there are none.
function M.sorted(options)
  local found = {}
  gather(options, found, {})
  if found[1] == nil then
    return nil
  end
  sort(found)
  return found
end

return M
