-- `kong.db.schema.json`: JSON schemas (draft 4) that fields of type `json` are judged by.

local tables = require "kong.tools.table"

local M = {}

-- Schemas by name, for fields that find theirs by another field's value.
local by_name = {}
-- The validator of a schema document is made once.
local made = setmetatable({}, { __mode = "k" })

-- Only when a schema has such a field is the library needed.
setmetatable(M, {
  __index = function(self, key)
    local library = require "resty.ljsonschema.metaschema"
    if key == "metaschema" then
      rawset(self, key, library)
      return library
    elseif key == "DRAFT_4" then
      local id = library.id:gsub("#$", "") .. "#"
      rawset(self, key, id)
      return id
    end
  end,
})

-- The identifier may come without its "#".
local function is_draft_4(id)
  return id == M.DRAFT_4 or id .. "#" == M.DRAFT_4
end

--- Judges a value by a schema document: true, or nil and a text.
function M.validate(input, schema)
  assert(type(schema) == "table")
  local id, draft = schema.id or schema["$id"], type(input) == "table" and input["$schema"]
  if type(id) == "string" and is_draft_4(id) and type(draft) == "string" and not is_draft_4(draft) then
    return nil, "unsupported document $schema: '" .. draft .. "', expected: " .. M.DRAFT_4
  end
  local validator = made[schema]
  if not validator then
    validator = assert(require("resty.ljsonschema").generate_validator(schema, {
      name = "schema://" .. require("kong.tools.sha256").sha256_hex(require("cjson").encode(schema)),
      -- Whether a table is a list is seen by what is in it: not all input has been marked.
      array_mt = false,
    }))
    made[schema] = validator
  end
  return validator(input)
end

--- Judges a schema document.
function M.validate_schema(document)
  if type(document) ~= "table" then
    return nil, "schema must be a table"
  end
  return M.validate(document, M.metaschema)
end

--- Keeps a copy of a schema document under a name.
function M.add_schema(name, schema)
  by_name[name] = tables.cycle_aware_deep_copy(schema, true)
end

function M.get_schema(name)
  return by_name[name]
end

function M.remove_schema(name)
  by_name[name] = nil
end

return M
