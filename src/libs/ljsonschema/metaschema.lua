-- `resty.ljsonschema.metaschema`: what a JSON schema of draft 4 may look like, as draft 4 itself defines it.

local cjson = require "cjson"

local function ref(name)
  return { ["$ref"] = "#/definitions/" .. name }
end

local function array(items, more)
  local schema = { type = "array", items = items, minItems = 1 }
  for k, v in pairs(more or {}) do schema[k] = v end
  return schema
end

local root = { ["$ref"] = "#" }
local text, uri, number = { type = "string" }, { type = "string", format = "uri" }, { type = "number" }
local flag = { type = "boolean", default = false }
local natural, natural0, list, names = ref "positiveInteger", ref "positiveIntegerDefault0", ref "schemaArray",
  ref "stringArray"

local function any(...)
  return setmetatable({ ... }, cjson.array_mt)
end

local function by_name(values)
  return { type = "object", additionalProperties = values, default = {} }
end

local yes_no_or_schema = { anyOf = any({ type = "boolean" }, root), default = {} }

return {
  id = "http://json-schema.org/draft-04/schema#",
  ["$schema"] = "http://json-schema.org/draft-04/schema#",
  description = "Core schema meta-schema",
  definitions = {
    schemaArray = array(root),
    positiveInteger = { type = "integer", minimum = 0 },
    positiveIntegerDefault0 = { allOf = any(natural, { default = 0 }) },
    simpleTypes = { enum = any("array", "boolean", "integer", "null", "number", "object", "string") },
    stringArray = array(text, { uniqueItems = true }),
  },
  type = "object",
  properties = {
    id = uri,
    ["$schema"] = uri,
    title = text,
    description = text,
    default = {},
    multipleOf = { type = "number", minimum = 0, exclusiveMinimum = true },
    maximum = number,
    exclusiveMaximum = flag,
    minimum = number,
    exclusiveMinimum = flag,
    maxLength = natural,
    minLength = natural0,
    pattern = { type = "string", format = "regex" },
    additionalItems = yes_no_or_schema,
    items = { anyOf = any(root, list), default = {} },
    maxItems = natural,
    minItems = natural0,
    uniqueItems = flag,
    maxProperties = natural,
    minProperties = natural0,
    required = names,
    additionalProperties = yes_no_or_schema,
    definitions = by_name(root),
    properties = by_name(root),
    patternProperties = by_name(root),
    dependencies = { type = "object", additionalProperties = { anyOf = any(root, names) } },
    enum = { type = "array", minItems = 1, uniqueItems = true },
    type = { anyOf = any(ref "simpleTypes", array(ref "simpleTypes", { uniqueItems = true })) },
    allOf = list,
    anyOf = list,
    oneOf = list,
    ["not"] = root,
  },
  dependencies = {
    exclusiveMaximum = any "maximum",
    exclusiveMinimum = any "minimum",
  },
  default = {},
}
