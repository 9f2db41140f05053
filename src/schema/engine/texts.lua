-- The words in which the schema engine complains: Kong's own, since tools and tests match on them. A
-- validator or entity check finds its text under its own name.

local texts = {
  array = "expected an array",
  set = "expected a set",
  map = "expected a map",
  record = "expected a record",
  string = "expected a string",
  number = "expected a number",
  boolean = "expected a boolean",
  integer = "expected an integer",
  ["function"] = "expected a function",

  eq = "value must be %s",
  ne = "value must not be %s",
  gt = "value must be greater than %s",
  between = "value should be between %d and %d",
  len_eq = "length must be %d",
  len_min = "length must be at least %d",
  len_max = "length must be at most %d",
  match = "invalid value: %s",
  not_match = "invalid value: %s",
  match_all = "invalid value: %s",
  match_none = "invalid value: %s",
  match_any = "invalid value: %s",
  starts_with = "should start with: %s",
  contains = "expected to contain: %s",
  one_of = "expected one of: %s",
  not_one_of = "must not be one of: %s",
  is_regex = "not a valid regex: %s",
  timestamp = "expected a valid timestamp",
  uuid = "expected a valid UUID",
  validation = "failed validating: %s",

  bad_input = "expected an input table",
  required = "required field missing",
  unknown = "unknown field",
  immutable = "immutable field cannot be updated",
  too_deep = "nested too deeply (more than %d levels)",

  required_for_entity_check = "field required for entity check",
  entity_check = "failed entity check: %s(%s)",
  check = "entity check failed",
  conditional = "failed conditional validation given value of field '%s'",
  at_least_one_of = "at least one of these fields must be non-empty: %s",
  conditional_at_least_one_of = "at least one of these fields must be non-empty: %s",
  only_one_of = "exactly one of these fields must be non-empty: %s",
  distinct = "values of these fields must be distinct: %s",
  mutually_required = "all or none of these fields must be set: %s",
  mutually_exclusive = "only one or none of these fields must be set: %s",
  mutually_exclusive_sets = "these sets are mutually exclusive: %s",

  no_definition = "expected a definition table",
  no_fields = "error in schema definition: no 'fields' table",
  bad_entry = "error in schema definition: field %d is not of the form { name = { ... } }",
  bad_reference = "schema refers to an invalid foreign entity: %s",
  cannot_validate = "error in schema prevents from validating this field",
  bad_type = "invalid type: %s",

  not_pk = "not a primary key",
  missing_pk = "missing primary key",

  subschema_unknown = "unknown type: %s",
  subschema_bad_parent = "error in definition of '%s': entities of type '%s' cannot have subschemas",
  subschema_undefined_field = "error in definition of '%s': %s: abstract field was not specialized",
  subschema_bad_type = "error in definition of '%s': %s: cannot change type in a specialized field",
  subschema_bad_field = "error in definition of '%s': %s: cannot create a new field",
  abstract = "error in schema definition: abstract field was not specialized",

  shorthand_mismatch = "both deprecated and new field are used but their values mismatch: %s = %s vs %s = %s",
  transformation = "transformation failed: %s",
  summary = "Validation error: %s",

  json_decode = "value could not be JSON-decoded: %s",
  json_parent_missing = "validation of %s depends on the parent attribute %s, but it is not set",
  json_schema_missing = "mandatory json schema for field (%s) not found",
}

local M = { texts = texts }

--- `{"a", "b"}` as `'a', 'b'`; lists in it in parentheses.
function M.quoted(words)
  local out = {}
  for i = 1, #words do
    local word = words[i]
    out[i] = type(word) == "table" and "(" .. M.quoted(word) .. ")" or "'" .. tostring(word) .. "'"
  end
  return table.concat(out, ", ")
end

--- Adds an error that belongs to no single field.
function M.of_entity(errors, text)
  local list = errors["@entity"]
  if type(list) ~= "table" then
    -- an unknown field may have that name
    list = { list }
    errors["@entity"] = list
  end
  list[#list + 1] = text
end

return M
