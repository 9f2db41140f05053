-- `multipart`: bodies of multipart/form-data taken apart and put together.

local find, sub, lower = string.find, string.sub, string.lower

local Multipart = { RANDOM_BOUNDARY = sub(tostring({}), 10) }
Multipart.__index = Multipart

local function boundary_of(content_type)
  local boundary = content_type and content_type:match(";%s*boundary=(%S+)")
  if boundary then
    boundary = boundary:match('^"(.*)"$') or boundary:match("^'(.*)'$") or boundary
  end
  return boundary ~= "" and boundary or nil
end

-- The name in the lines of a part's head; quotes are taken off.
local function name_of(head)
  for _, line in ipairs(head) do
    if lower(sub(line, 1, 19)) == "content-disposition" then
      for piece in line:gmatch("[^;]+") do
        local value = piece:match("^%s*[Nn][Aa][Mm][Ee]=(.*)$")
        if value then
          return value:gsub("%s+$", ""):match("^.(.*).$") or ""
        end
      end
    end
  end
end

local function split_head(text)
  local head = {}
  for line in text:gmatch("[^\r\n]+") do
    head[#head + 1] = line
  end
  return head
end

local function add_part(data, text)
  local head, value
  local from, to = find(text, "\r?\n\r?\n")
  if from then
    head, value = split_head(sub(text, 1, from - 1)), sub(text, to + 1)
  else
    head, value = split_head(text), ""
  end
  local name = name_of(head)
  if name then
    local at = #data.data + 1
    data.data[at] = { name = name, headers = head, value = value }
    data.indexes[name] = data.indexes[name] or {}
    table.insert(data.indexes[name], at)
  end
end

-- Where the next delimiter line begins and ends, counted from `at`: the line's own break belongs to it.
local function delimiter(body, mark, at)
  while true do
    local from, to = find(body, mark, at, true)
    if not from then
      return nil
    end
    if from == 1 or find(sub(body, from - 1, from - 1), "[\r\n]") then
      return from, to
    end
    at = to + 1
  end
end

local function decode(body, boundary)
  local data = { data = {}, indexes = {} }
  if not boundary then
    return data
  end
  local mark = "--" .. boundary
  local _, at = delimiter(body, mark, 1)
  while at do
    local start = select(2, find(body, "^[^\r\n]*\r?\n", at + 1))
    if not start or sub(body, at + 1, at + 2) == "--" then
      break
    end
    local from, to = delimiter(body, mark, start + 1)
    local text = sub(body, start + 1, (from or #body + 1) - 1)
    if from then
      text = text:gsub("\r?\n$", "")
    end
    add_part(data, text)
    at = to
  end
  return data
end

--- The parts of a body by its content type.
function Multipart.new(body, content_type)
  local boundary = boundary_of(content_type)
  return setmetatable({ _boundary = boundary, _data = decode(body or "", boundary) }, Multipart)
end

--- The first part of that name: name, value, headers.
function Multipart:get(name)
  local indexes = self._data.indexes[name]
  return indexes and self._data.data[indexes[1]]
end

local function values(self, name, of)
  local out = {}
  for i, at in ipairs(self._data.indexes[name] or {}) do
    out[i] = of(self._data.data[at])
  end
  return out
end

local function value_of(part)
  return part.value
end

local headers_mt = {
  __index = function(t, key)
    key = lower(key)
    local value = rawget(t, key)
    if value == nil and find(key, "_", 1, true) then
      value = rawget(t, (key:gsub("_", "-")))
    end
    return value
  end,
}

local function with_headers(part)
  local headers = setmetatable({}, headers_mt)
  for _, line in ipairs(part.headers) do
    local key, value = line:match("([^:]+):%s*(.+)")
    if key then
      headers[lower(key:match("^%s*(.-)%s*$"))] = value
    end
  end
  return { value = part.value, headers = headers }
end

local function all(self, of)
  local out = {}
  for name in pairs(self._data.indexes) do
    out[name] = of(name)
  end
  return out
end

--- The values of all parts of that name.
function Multipart:get_as_array(name)
  return values(self, name, value_of)
end

function Multipart:get_with_headers_as_array(name)
  return values(self, name, with_headers)
end

--- Name to value; of parts with the same name the first.
function Multipart:get_all()
  return all(self, function(name) return self:get(name).value end)
end

function Multipart:get_all_as_arrays()
  return all(self, function(name) return self:get_as_array(name) end)
end

--- Name to value, or to the list of values where a name repeats.
function Multipart:get_all_with_arrays()
  return all(self, function(name)
    local list = self:get_as_array(name)
    return #list == 1 and list[1] or list
  end)
end

function Multipart:get_all_include_headers_with_arrays()
  return all(self, function(name) return self:get_with_headers_as_array(name) end)
end

--- Sets a part, in the place of the first of that name.
function Multipart:set_simple(name, value, filename, content_type)
  local head = 'Content-Disposition: form-data; name="' .. name .. '"'
  if filename then
    head = head .. '; filename="' .. filename .. '"'
  end
  if content_type then
    head = head .. "\r\ncontent-type: " .. content_type
  end
  local data = self._data
  local indexes = data.indexes[name]
  if not indexes then
    indexes = { #data.data + 1 }
    data.indexes[name] = indexes
  end
  data.data[indexes[1]] = { name = name, value = value, headers = { head } }
end

--- Takes all parts of that name out.
function Multipart:delete(name)
  local kept, indexes = {}, {}
  for _, part in ipairs(self._data.data) do
    if part.name ~= name then
      kept[#kept + 1] = part
      indexes[part.name] = indexes[part.name] or {}
      table.insert(indexes[part.name], #kept)
    end
  end
  self._data.data, self._data.indexes = kept, indexes
end

--- The body.
function Multipart:tostring()
  local boundary, out = self._boundary or Multipart.RANDOM_BOUNDARY, {}
  for _, part in ipairs(self._data.data) do
    if part.value then
      out[#out + 1] = "--" .. boundary .. "\r\n"
      for _, line in ipairs(part.headers) do
        out[#out + 1] = line .. "\r\n"
      end
      out[#out + 1] = "\r\n" .. part.value .. "\r\n"
    end
  end
  if #out == 0 then
    return ""
  end
  return table.concat(out) .. "--" .. boundary .. "--\r\n"
end

return setmetatable(Multipart, {
  __call = function(_, ...)
    return Multipart.new(...)
  end,
})
