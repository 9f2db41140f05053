-- `kong.db.schema.metaschema`: the schema of schemas, and (MetaSubSchema) of those that plugins bring along. What
-- can be said field by field is a schema like any other; how attributes go together is checked by functions.

local Schema = require "kong.db.schema"
local json = require "kong.db.schema.json"
local tablex = require "pl.tablex"
local rules = require "moongate.schema.metaschema_rules"

local constants = require "kong.constants"

local function list_of(elements, more)
  local field = more or {}
  field.type, field.elements = "array", elements
  return field
end

local function strings(more)
  return list_of({ type = "string" }, more)
end

local patterns = list_of({
  type = "record",
  fields = {
    { pattern = { type = "string", required = true } },
    { err = { type = "string" } },
  },
})

-- The attributes that are validators.
local validators = {
  { between = list_of({ type = "number" }, { len_eq = 2 }) },
  { eq = { type = "any" } },
  { ne = { type = "any" } },
  { gt = { type = "number" } },
  { len_eq = { type = "integer" } },
  { len_min = { type = "integer" } },
  { len_max = { type = "integer" } },
  { match = { type = "string" } },
  { not_match = { type = "string" } },
  { match_all = patterns },
  { match_none = patterns },
  { match_any = {
    type = "record",
    fields = { { patterns = strings { required = true } }, { err = { type = "string" } } },
  } },
  { starts_with = { type = "string" } },
  { one_of = list_of { type = "any" } },
  { not_one_of = list_of { type = "any" } },
  { contains = { type = "any" } },
  { is_regex = { type = "boolean" } },
  { timestamp = { type = "boolean" } },
  { uuid = { type = "boolean" } },
  { custom_validator = { type = "function" } },
  { mutually_exclusive_subsets = list_of(strings()) },
}

-- A JSON schema is written into the field (`inline`), or is found by a name made of `namespace` and the value of
-- another field (`parent_subschema_key`); `default` is for names that none is known by.
local json_schema = {
  type = "record",
  fields = {
    { namespace = { type = "string", one_of = tablex.values(constants.SCHEMA_NAMESPACES) } },
    { parent_subschema_key = { type = "string" } },
    { optional = { type = "boolean" } },
    { inline = { type = "any", custom_validator = json.validate_schema } },
    { default = { type = "any", custom_validator = json.validate_schema } },
  },
  entity_checks = {
    { at_least_one_of = { "inline", "namespace", "parent_subschema_key" } },
    { mutually_required = { "namespace", "parent_subschema_key" } },
    { mutually_exclusive_sets = {
      set1 = { "inline" },
      set2 = { "namespace", "parent_subschema_key", "optional" },
    } },
  },
}

-- That a field is on its way out: `message` is logged when it is used with another value than `old_default`.
local deprecation = {
  type = "record",
  fields = {
    { message = { type = "string", required = true } },
    { removal_in_version = { type = "string", required = true } },
    { old_default = { type = "any", required = false } },
    { replaced_with = list_of({
      type = "record",
      required = false,
      fields = {
        { path = strings { len_min = 1, required = true } },
        { reverse_mapping_function = { type = "function", required = false } },
      },
    }, { required = false }) },
  },
}

local function types(excluded)
  local names = {}
  for name in pairs(Schema.valid_types) do
    if not excluded[name] then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return { type = { type = "string", one_of = names, required = true } }
end

-- All attributes of a field.
local attributes = {
  types {},
  { required = { type = "boolean" } },
  { reference = { type = "string" } },
  { description = { type = "string", len_min = 10, len_max = 500 } },
  { examples = list_of { type = "any" } },
  { auto = { type = "boolean" } },
  { unique = { type = "boolean" } },
  { unique_across_ws = { type = "boolean" } },
  { on_delete = { type = "string", one_of = { "restrict", "cascade", "null" } } },
  { default = { type = "self" } },
  { abstract = { type = "boolean" } },
  { generate_admin_api = { type = "boolean" } },
  { immutable = { type = "boolean" } },
  { err = { type = "string" } },
  { encrypted = { type = "boolean" } },
  { referenceable = { type = "boolean" } },
  { json_schema = json_schema },
  { transient = { type = "boolean" } },
  { deprecation = deprecation },
}
for _, entry in ipairs(validators) do
  attributes[#attributes + 1] = entry
end
for _, entry in ipairs(attributes) do
  local _, field = next(entry)
  field.nilable = not field.required
end

local attribute_checks = {
  { conditional = {
    if_field = "unique_across_ws", if_match = { eq = true },
    then_field = "unique", then_match = { eq = true, required = true },
  } },
}

-- `{ { name = field }, ... }`, as `fields` and `shorthand_fields` are.
local function named(field, more)
  return list_of({
    type = "map",
    keys = { type = "string" },
    values = field,
    required = true,
    len_eq = 1,
  }, more)
end

local fields = named { type = "record", fields = attributes, entity_checks = attribute_checks }

-- Fields hold fields.
local function inner()
  return { type = "record", fields = attributes }
end

table.insert(attributes, { elements = inner() })
table.insert(attributes, { keys = inner() })
table.insert(attributes, { values = inner() })
table.insert(attributes, { fields = fields })

local conditions = {
  { required = { type = "boolean" } },
  { elements = inner() },
  { keys = inner() },
  { values = inner() },
}
for _, entry in ipairs(validators) do
  conditions[#conditions + 1] = entry
end

local function match()
  return { type = "record", fields = conditions }
end

local entity_checks = list_of({
  type = "record",
  fields = {
    { at_least_one_of = strings() },
    { conditional_at_least_one_of = {
      type = "record",
      fields = {
        { if_field = { type = "string" } },
        { if_match = match() },
        { then_at_least_one_of = strings() },
        { then_err = { type = "string" } },
        { else_match = match() },
        { else_then_at_least_one_of = strings() },
        { else_then_err = { type = "string" } },
      },
    } },
    { only_one_of = strings() },
    { distinct = strings() },
    { conditional = {
      type = "record",
      fields = {
        { if_field = { type = "string" } },
        { if_match = match() },
        { then_field = { type = "string" } },
        { then_match = match() },
        { then_err = { type = "string" } },
      },
    } },
    { custom_entity_check = {
      type = "record",
      fields = {
        { field_sources = strings() },
        { fn = { type = "function" } },
        { run_with_missing_fields = { type = "boolean" } },
        { run_with_invalid_fields = { type = "boolean" } },
      },
    } },
    { mutually_required = strings() },
    { mutually_exclusive = strings() },
    { mutually_exclusive_sets = {
      type = "record",
      fields = { { set1 = strings() }, { set2 = strings() } },
    } },
  },
  entity_checks = { { only_one_of = tablex.keys(Schema.entity_checkers) } },
}, { nilable = true })

-- A shorthand field is a field with a function, of a type that is judged by itself.
local short_attributes = {}
local shorthand_fields = named({
  type = "record",
  fields = short_attributes,
  entity_checks = attribute_checks,
}, { nilable = true })

table.insert(attributes, { entity_checks = entity_checks })
table.insert(attributes, { shorthand_fields = shorthand_fields })

short_attributes[1] = types { record = true, foreign = true, ["function"] = true }
for i = 2, #attributes do
  short_attributes[i] = attributes[i]
end
table.insert(short_attributes, { func = { type = "function", required = true } })
table.insert(short_attributes, { translate_backwards = strings { required = false } })

local transformations = list_of({
  type = "record",
  fields = {
    { input = strings { required = false } },
    { needs = strings { required = false } },
    { on_write = { type = "function", required = false } },
    { on_read = { type = "function", required = false } },
  },
  entity_checks = { { at_least_one_of = { "on_write", "on_read" } } },
}, { nilable = true })

local function optional(type_of, default)
  return { type = type_of, nilable = true, default = default }
end

local MetaSchema = assert(Schema.new {
  name = "metaschema",
  fields = {
    { name = { type = "string", required = true } },
    { primary_key = strings { required = true } },
    { workspaceable = optional "boolean" },
    { endpoint_key = optional "string" },
    { cache_key = strings { nilable = true } },
    { ttl = optional "boolean" },
    { db_export = optional("boolean", true) },
    { subschema_key = optional "string" },
    { subschema_error = optional "string" },
    { generate_admin_api = optional("boolean", true) },
    { admin_api_name = optional "string" },
    { table_name = optional "string" },
    { admin_api_nested_name = optional "string" },
    { fields = fields },
    { entity_checks = entity_checks },
    { shorthand_fields = shorthand_fields },
    { transformations = transformations },
    { check = optional "function" },
    { dao = optional "string" },
  },
  check = rules.check_schema,
})

MetaSchema.valid_types = setmetatable({ ["function"] = true }, { __index = Schema.valid_types })

--- The names of the validators that schemas may use, as a set.
function MetaSchema.get_supported_validator_set()
  local set = {}
  for _, entry in ipairs(validators) do
    set[next(entry)] = true
  end
  return set
end

MetaSchema.MetaSubSchema = assert(Schema.new {
  name = "metasubschema",
  fields = {
    { name = { type = "string", required = true } },
    { fields = fields },
    { entity_checks = entity_checks },
    { shorthand_fields = shorthand_fields },
    { transformations = transformations },
    { check = optional "function" },
  },
  check = rules.check_subschema,
})

return MetaSchema
