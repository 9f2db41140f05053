-- The words in which the schema engine complains: Kong's own, since tools and tests match on them.

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
  starts_with = "should start with: %s",
  contains = "expected to contain: %s",
  one_of = "expected one of: %s",
  not_one_of = "must not be one of: %s",
  is_regex = "not a valid regex: %s",
  timestamp = "expected a valid timestamp",
  uuid = "expected a valid UUID",
  validation = "failed validating: %s",

  required = "required field missing",
  unknown = "unknown field",
  required_for_entity_check = "field required for entity check",
  abstract = "error in schema definition: abstract field was not specialized",
  bad_type = "invalid type: %s",

  entity_check = "entity check failed",
  conditional = "failed conditional validation given value of field '%s'",
  at_least_one_of = "at least one of these fields must be non-empty: %s",
  conditional_at_least_one_of = "at least one of these fields must be non-empty: %s",
  only_one_of = "exactly one of these fields must be non-empty: %s",
  distinct = "values of these fields must be distinct: %s",
  mutually_required = "all or none of these fields must be set: %s",
  mutually_exclusive = "only one or none of these fields must be set: %s",
  mutually_exclusive_sets = "these sets are mutually exclusive: %s",
}

local errors = { texts = texts }

--- `{"a", "b"}` as `'a', 'b'`; nested lists in parentheses.
function errors.quoted(words)
  local out = {}
  for i, word in ipairs(words) do
    out[i] = type(word) == "table" and "(" .. errors.quoted(word) .. ")" or "'" .. tostring(word) .. "'"
  end
  return table.concat(out, ", ")
end

--- Adds an error that belongs to no single field.
function errors.entity(tree, text)
  local list = tree["@entity"]
  if not list then
    list = {}
    tree["@entity"] = list
  end
  list[#list + 1] = text
end

return errors
