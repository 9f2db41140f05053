-- `inspect`: any value as readable text.

local inspect = {
  _VERSION = "inspect.lua 3.1.0",
  KEY = setmetatable({}, { __tostring = function() return "inspect.KEY" end }),
  METATABLE = setmetatable({}, { __tostring = function() return "inspect.METATABLE" end }),
}

local KEYWORDS = {}
for word in ("and break do else elseif end false for function goto if in local nil not or repeat return then true "
  .. "until while"):gmatch("%a+") do
  KEYWORDS[word] = true
end

local SHORT = { ["\a"] = "\\a", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t",
  ["\v"] = "\\v", ["\127"] = "\\127" }

local function quoted(s)
  local q = (s:find('"', 1, true) and not s:find("'", 1, true)) and "'" or '"'
  s = s:gsub("\\", "\\\\"):gsub("[%c\127]", function(c)
    return SHORT[c] or ("\\%03d"):format(c:byte())
  end)
  if q == '"' then
    s = s:gsub('"', '\\"')
  end
  return q .. s .. q
end

local RANK = { number = 1, boolean = 2, string = 3, table = 4, ["function"] = 5, userdata = 6, thread = 7 }

local function before(a, b)
  local ta, tb = type(a), type(b)
  if ta == tb and (ta == "string" or ta == "number") then
    return a < b
  end
  local ra, rb = RANK[ta] or 100, RANK[tb] or 100
  return ra == rb and ta < tb or ra < rb
end

local function map(process, item, path, seen)
  if item == nil then
    return nil
  end
  if seen[item] then
    return seen[item]
  end
  local done = process(item, path)
  if type(done) ~= "table" then
    return done
  end
  local copy = {}
  seen[item] = copy
  local function below(key)
    local longer = {}
    for i = 1, #path do longer[i] = path[i] end
    longer[#path + 1] = key
    return longer
  end
  for k, v in pairs(done) do
    local key = map(process, k, below(inspect.KEY), seen)
    if key ~= nil then
      copy[key] = map(process, v, below(key), seen)
    end
  end
  local mt = map(process, getmetatable(done), below(inspect.METATABLE), seen)
  return setmetatable(copy, type(mt) == "table" and mt or nil)
end

local Writer = {}
Writer.__index = Writer

function Writer:put(s)
  self.out[#self.out + 1] = s
end

function Writer:tab()
  self:put(self.newline .. self.indent:rep(self.level))
end

function Writer:id(v)
  local id = self.ids[v]
  if not id then
    local kind = type(v)
    id = (self.last[kind] or 0) + 1
    self.last[kind], self.ids[v] = id, id
  end
  return tostring(id)
end

function Writer:count(t)
  if type(t) ~= "table" then
    return
  end
  local n = self.met[t]
  self.met[t] = (n or 0) + 1
  if not n then
    self:count(getmetatable(t))
    for k, v in pairs(t) do
      self:count(k)
      self:count(v)
    end
  end
end

function Writer:table(t)
  if self.written[t] then
    return self:put("<table " .. self:id(t) .. ">")
  end
  if self.level >= self.depth then
    return self:put("{...}")
  end
  self.written[t] = true
  if self.met[t] > 1 then
    self:put("<" .. self:id(t) .. ">")
  end
  local listed = 0
  while rawget(t, listed + 1) ~= nil do
    listed = listed + 1
  end
  local keys = {}
  for k in next, t do
    if not (type(k) == "number" and k % 1 == 0 and k >= 1 and k <= listed) then
      keys[#keys + 1] = k
    end
  end
  table.sort(keys, before)
  local mt = getmetatable(t)
  self:put("{")
  self.level = self.level + 1
  for i = 1, listed do
    self:put(i > 1 and ", " or " ")
    self:value(t[i])
  end
  for i, k in ipairs(keys) do
    self:put((listed > 0 or i > 1) and "," or "")
    self:tab()
    if type(k) == "string" and k:find("^[_%a][_%w]*$") and not KEYWORDS[k] then
      self:put(k)
    else
      self:put("[")
      self:value(k)
      self:put("]")
    end
    self:put(" = ")
    self:value(t[k])
  end
  if type(mt) == "table" then
    self:put((listed + #keys > 0) and "," or "")
    self:tab()
    self:put("<metatable> = ")
    self:value(mt)
  end
  self.level = self.level - 1
  if #keys > 0 or type(mt) == "table" then
    self:tab()
  elseif listed > 0 then
    self:put(" ")
  end
  self:put("}")
end

function Writer:value(v)
  local kind = type(v)
  if kind == "string" then
    self:put(quoted(v))
  elseif kind == "number" or kind == "boolean" or kind == "nil" or kind == "cdata" then
    self:put(tostring(v))
  elseif kind == "table" then
    self:table(v)
  else
    self:put("<" .. kind .. " " .. self:id(v) .. ">")
  end
end

--- Options: depth, newline, indent, process.
function inspect.inspect(root, options)
  options = options or {}
  if options.process then
    root = map(options.process, root, {}, {})
  end
  local writer = setmetatable({
    out = {}, level = 0, ids = {}, last = {}, met = {}, written = {},
    depth = options.depth or math.huge,
    newline = options.newline or "\n",
    indent = options.indent or "  ",
  }, Writer)
  writer:count(root)
  writer:value(root)
  return table.concat(writer.out)
end

return setmetatable(inspect, { __call = function(_, root, options) return inspect.inspect(root, options) end })
