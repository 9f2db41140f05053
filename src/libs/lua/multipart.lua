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

local function is_header(text)
  return find(text, "%S:%s*%S") ~= nil
end

-- The last name in the line of a disposition, without its first and last character: they ought to be quotes.
local function name_in(line)
  local name
  for piece in line:gmatch("[^;]+") do
    local value = not is_header(piece) and piece:match("^%s*[Nn][Aa][Mm][Ee]=%s*([^=]*)")
    if value then
      name = sub(value:match("^(.*%S)") or "", 2, -2)
    end
  end
  return name
end

local function add(data, part, value)
  local at = #data.data + 1
  data.data[at] = { name = part.name, headers = part.headers, value = value }
  data.indexes[part.name] = data.indexes[part.name] or {}
  table.insert(data.indexes[part.name], at)
end

-- A line of a part's head, or the first of its value; where the value begins, if it does.
local function head_line(part, body, line, at, stop)
  if lower(sub(line, 1, 19)) == "content-disposition" then
    part.name = name_in(line) or part.name
  elseif not is_header(line) then
    return at
  end
  part.headers[#part.headers + 1] = line
  return sub(body, stop, stop + 3) == "\r\n\r\n" and stop + 4 or nil
end

-- Takes a body apart line by line, generously: a line that begins with the delimiter is one; what stands before the
-- first belongs to the first part; a part that nothing ends takes the place of those of its name.
local function decode(body, boundary)
  local data = { data = {}, indexes = {} }
  if not boundary then
    return data
  end
  local mark = "--" .. boundary
  local part, before = { headers = {} }, ""
  local value -- where it begins; nil in a part's head
  local at = 1
  while at <= #body do
    local stop = find(body, "[\r\n]", at) or #body + 1
    local line, following = sub(body, at, stop - 1), stop + 1
    if sub(line, 1, #mark) == mark then
      local text = before .. (value and sub(body, value, at - 1) or "")
      if part.name then
        add(data, part, (text:gsub("\r?\n$", "")))
        part, text = { headers = {} }, ""
      end
      before, value = text, nil
    elseif not value and line ~= "" then
      value = head_line(part, body, line, at, stop)
      following = value and value > at and value or following
    end
    at = following
  end
  if part.name then
    data.indexes[part.name] = nil
    add(data, part, before .. (value and sub(body, value) or ""))
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
      headers[lower(key:match("^%s*(.*%S)") or "")] = value
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
