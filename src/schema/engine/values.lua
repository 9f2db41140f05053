-- Tables as configuration has them: copies, lists, sets, paths.

local cjson = require "cjson"
local new_table = require "table.new"
local texts = require("moongate.schema.engine.texts").texts

local array_mt, null = cjson.array_mt, cjson.null
local byte, find, sub = string.byte, string.find, string.sub
local getmetatable, next, setmetatable, type = getmetatable, next, setmetatable, type

local M = {}

--- Data nested deeper than this is refused: it is a mistake or an attack, and a table that contains itself.
M.MAX_DEPTH = 200

--- What is said of it.
M.TOO_DEEP = texts.too_deep:format(M.MAX_DEPTH)

--- The length of a list; nil if the table is not a list (holes, other keys).
local function sequence(list)
  local n, count = #list, 0
  for _ in next, list do
    count = count + 1
  end
  if count ~= n then
    return nil
  end
  for i = 1, n do
    if list[i] == nil then
      return nil
    end
  end
  return n
end
M.sequence = sequence

--- A copy that shares no table with the original; nil and a text if the original is nested too deeply.
local function copy(value, depth)
  if depth > M.MAX_DEPTH then
    return nil, M.TOO_DEEP
  end
  local new = new_table(#value, 0)
  for k, v in next, value do
    if type(v) == "table" then
      local err
      v, err = copy(v, depth + 1)
      if err then
        return nil, err
      end
    end
    new[k] = v
  end
  local mt = getmetatable(value)
  if mt then
    setmetatable(new, mt)
  end
  return new
end
M.copy = copy

local members = setmetatable({}, { __mode = "k" })

--- The metatable of sets: `conf.methods.GET` is true if "GET" is in it. The index is made when first asked.
M.set_mt = {
  __index = function(set, key)
    local has = members[set]
    if not has then
      has = {}
      for i = 1, #set do
        has[set[i]] = true
      end
      members[set] = has
    end
    return has[key]
  end,
}

--- Marks a list as an array.
function M.as_array(list)
  if sequence(list) then
    setmetatable(list, array_mt)
  end
  return list
end

-- Drops repeated values in place; the first of each stays.
local function dedupe(list, n)
  local kept = 0
  local seen = n > 8 and {}
  for i = 1, n do
    local v, known = list[i], false
    if seen then
      known = seen[v]
      seen[v] = true
    else
      for j = 1, kept do
        if list[j] == v then
          known = true
          break
        end
      end
    end
    if not known then
      kept = kept + 1
      if kept ~= i then
        list[kept] = v
      end
    end
  end
  for i = kept + 1, n do
    list[i] = nil
  end
end

--- Marks a list as a set, and drops what is in it twice.
function M.as_set(list)
  local n = sequence(list)
  if not n then
    return list
  end
  if n == 0 then
    return setmetatable(list, array_mt)
  end
  if n > 1 then
    dedupe(list, n)
  end
  if members[list] then
    members[list] = nil
  end
  return setmetatable(list, M.set_mt)
end

--- Whether a string is a reference to a secret, as `{vault://env/name}`.
function M.is_reference(value)
  return type(value) == "string" and byte(value, 1) == 123 and byte(value, -1) == 125
    and sub(value, 1, 9) == "{vault://"
end

--- Whether something was given: not nil, null, "" or an empty table.
function M.given(value)
  return value ~= nil and value ~= null and value ~= "" and not (type(value) == "table" and next(value) == nil)
end

--- The value at a dotted path.
function M.get(t, path)
  local from = 1
  while type(t) == "table" do
    local dot = find(path, ".", from, true)
    if not dot then
      return t[from == 1 and path or sub(path, from)]
    end
    t = t[sub(path, from, dot - 1)]
    from = dot + 1
  end
  return nil
end

--- Sets the value at a dotted path, making tables on the way; what is no table on the way stays.
function M.set(t, path, value)
  local dot = find(path, ".", 1, true)
  while dot do
    local key = sub(path, 1, dot - 1)
    if t[key] == nil then
      t[key] = {}
    end
    t = t[key]
    if type(t) ~= "table" then
      return
    end
    path = sub(path, dot + 1)
    dot = find(path, ".", 1, true)
  end
  t[path] = value
end

return M
