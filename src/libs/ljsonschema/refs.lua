-- What a `$ref` in a JSON schema leads to: a place in the same document, a part with that id, or a document that
-- the user's resolver brings.

local url = require "socket.url"

local Store = {}
Store.__index = Store

local function unescape(part)
  part = part:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
  return (part:gsub("~1", "/"):gsub("~0", "~"))
end

local function split(reference)
  local base, fragment = reference:match("^([^#]*)#?(.*)$")
  return base, fragment
end

local function absolute(base, reference)
  if reference == "" then
    return base
  end
  if reference:find("^%a[%w+.-]*:") or not base:find("/", 1, true) then
    return reference
  end
  return url.absolute(base, reference)
end

-- Notes under which document each part stands, and the parts that have ids of their own.
local function index(self, schema, base, is_schema)
  if type(schema) ~= "table" or self.base_of[schema] then
    return
  end
  local id = is_schema and type(schema.id) == "string" and schema.id
  if id then
    local document, fragment = split(id)
    if document ~= "" then
      base = absolute(base, document)
      self.documents[base] = schema
    end
    if fragment ~= "" then
      self.documents[base .. "#" .. fragment] = schema
    end
  end
  self.base_of[schema] = base
  for k, v in pairs(schema) do
    if k ~= "enum" and k ~= "default" then
      -- below "properties" and its like a key is a name, and "id" is a property's
      local names = k == "properties" or k == "patternProperties" or k == "definitions" or k == "dependencies"
      index(self, v, base, not (names and is_schema))
    end
  end
end

--- A store for a schema and what it refers to.
local function new(schema, resolver)
  local self = setmetatable({ documents = {}, base_of = {}, resolver = resolver }, Store)
  self.documents["root:"] = schema
  index(self, schema, "root:", true)
  return self
end

local function fetch(self, uri)
  local document = self.documents[uri]
  if document then
    return document
  end
  if not self.resolver then
    error("an external resolver is required to fetch " .. uri)
  end
  document = self.resolver(uri)
  if not document then
    error("failed to fetch schema for: " .. uri)
  end
  self.documents[uri] = document
  index(self, document, uri, true)
  return document
end

--- The schema itself, or what its `$ref` leads to; raises if that leads nowhere.
function Store:resolve(schema)
  local left = 100
  while type(schema) == "table" and schema["$ref"] do
    local reference = schema["$ref"]
    left = left - 1
    if left == 0 then
      error("circular reference: " .. reference)
    end
    local document, fragment = split(reference)
    local uri = absolute(self.base_of[schema] or "root:", document)
    local named = fragment ~= "" and self.documents[uri .. "#" .. fragment]
    if named then
      schema = named
    else
      schema = fetch(self, uri)
      for part in fragment:gmatch("[^/]+") do
        part = unescape(part)
        local number = tonumber(part)
        local found = schema[part]
        if found == nil and number then
          found = schema[number + 1]
        end
        if found == nil then
          error(("reference not found: %s#%s (at %q)"):format(uri, fragment, part))
        end
        schema = found
      end
    end
  end
  return schema
end

return { new = new }
