-- `kong.db.errors`: the errors of DAOs. An error is a table with code, name, message, strategy, and fields or
-- options; it reads as its message when made a string.

local pretty = require("pl.pretty").write

local fmt, concat, sort, upper = string.format, table.concat, table.sort, string.upper
local type, pairs, ipairs, tostring = type, pairs, ipairs, tostring
local null = ngx.null

-- Name, number and text of each kind.
local KINDS = {
  { "INVALID_PRIMARY_KEY", "invalid primary key" },
  { "SCHEMA_VIOLATION", "schema violation" },
  { "PRIMARY_KEY_VIOLATION", "primary key violation" },
  { "FOREIGN_KEY_VIOLATION", "foreign key violation" },
  { "UNIQUE_VIOLATION", "unique constraint violation" },
  { "NOT_FOUND", "not found" },
  { "INVALID_OFFSET", "invalid offset" },
  { "DATABASE_ERROR", "database error" },
  { "INVALID_SIZE", "invalid size" },
  { "INVALID_UNIQUE", "invalid unique %s" },
  { "INVALID_OPTIONS", "invalid options" },
  { "OPERATION_UNSUPPORTED", "operation unsupported" },
  { "FOREIGN_KEYS_UNRESOLVED", "foreign keys unresolved" },
  { "DECLARATIVE_CONFIG", "invalid declarative configuration" },
  { "TRANSFORMATION_ERROR", "transformation error" },
  { "INVALID_FOREIGN_KEY", "invalid foreign key" },
  { "INVALID_WORKSPACE", "invalid workspace" },
  { "INVALID_UNIQUE_GLOBAL", "invalid global query" },
  { "REFERENCED_BY_OTHERS", "referenced by others" },
  { "INVALID_SEARCH_QUERY", "invalid search query" },
  { "SYNC_DELTAS", "invalid sync deltas" },
}

local codes, names = {}, {}
for code, kind in ipairs(KINDS) do
  codes[kind[1]], names[code] = code, kind[2]
end

local M = { codes = codes, names = names }

local error_mt = {
  __tostring = function(err_t)
    local text = err_t.message
    if text == nil or text == null then
      text = err_t.name
    end
    return err_t.strategy and fmt("[%s] %s", err_t.strategy, text) or text
  end,
  __concat = function(a, b)
    return tostring(a) .. tostring(b)
  end,
}

local function new(self, code, message, details, name)
  if type(message) == "table" and getmetatable(message) == error_mt then
    return message -- an error already
  elseif not code then
    error("missing code")
  elseif not names[code] then
    error("unknown error code: " .. tostring(code))
  elseif message and type(message) ~= "string" then
    error("message must be a string or nil")
  elseif details and type(details) ~= "table" then
    error("errors must be a table or nil")
  end

  local err_t = {
    code = code,
    name = name or names[code],
    message = message or null,
    strategy = self.strategy,
  }
  if details then
    local copy = {}
    for k, v in pairs(details) do
      copy[k] = v
    end
    err_t[code == codes.INVALID_OPTIONS and "options" or "fields"] = copy
  end
  return setmetatable(err_t, error_mt)
end

-- A key is a code, a method, or the lower-case name of a kind without a constructor of its own.
function M.__index(self, key)
  local found = codes[key] or M[key]
  if found then
    return found
  end
  local code = codes[upper(key)]
  if code then
    found = function()
      return new(self, code)
    end
    self[key] = found
    return found
  end
end

--- The constructors of errors of one strategy ("off").
function M.new(strategy)
  return setmetatable({ strategy = strategy }, M)
end

local function want(value, kind, name)
  if type(value) ~= kind then
    error(fmt("%s must be a %s", name, kind), 3)
  end
end

local function sorted_keys(t)
  local keys = {}
  for k in pairs(t) do
    keys[#keys + 1] = k
  end
  sort(keys)
  return keys
end

-- Lines "field: text" and "field.sub: text", by name, after those already in `lines`. `show(value)` makes the
-- text of a nested table.
local function flatten(errors, lines, show)
  for _, field in ipairs(sorted_keys(errors)) do
    local err = errors[field]
    if field == "@entity" and show then -- schema errors list these first
      err = nil
    elseif type(err) == "table" then
      for _, sub in ipairs(sorted_keys(err)) do
        local text = err[sub]
        if type(text) == "table" and show then
          text = show(text)
        end
        lines[#lines + 1] = fmt("%s.%s: %s", field, sub, text)
      end
    else
      lines[#lines + 1] = fmt("%s: %s", field, err)
    end
  end
  return lines
end

local function counted(lines, one, many)
  return #lines == 1 and fmt("%s (%s)", one, lines[1]) or fmt("%d %s (%s)", #lines, many, concat(lines, "; "))
end

function M:invalid_primary_key(primary_key)
  want(primary_key, "table", "primary_key")
  local message = fmt("invalid primary key: '%s'", pretty(primary_key, ""))
  return new(self, codes.INVALID_PRIMARY_KEY, message, primary_key)
end

function M:invalid_foreign_key(foreign_key)
  want(foreign_key, "table", "foreign_key")
  local message = fmt("invalid foreign key: '%s'", pretty(foreign_key, ""))
  return new(self, codes.INVALID_FOREIGN_KEY, message, foreign_key)
end

--- An error of a schema's error tree.
function M:schema_violation(errors)
  want(errors, "table", "errors")
  local lines = {}
  local of_entity = errors["@entity"]
  for _, text in pairs(type(of_entity) == "table" and of_entity or { of_entity }) do
    lines[#lines + 1] = text
  end
  flatten(errors, lines, pretty)
  return new(self, codes.SCHEMA_VIOLATION, counted(lines, "schema violation", "schema violations"), errors)
end

function M:primary_key_violation(primary_key)
  want(primary_key, "table", "primary_key")
  local message = fmt("primary key violation on key '%s'", pretty(primary_key, ""))
  return new(self, codes.PRIMARY_KEY_VIOLATION, message, primary_key)
end

function M:foreign_key_violation_invalid_reference(foreign_key, field_name, parent_name)
  want(foreign_key, "table", "foreign_key")
  want(field_name, "string", "foreign_key_field_name")
  want(parent_name, "string", "parent_name")
  local message = fmt("the foreign key '%s' does not reference an existing '%s' entity.",
    pretty(foreign_key, ""), parent_name)
  return new(self, codes.FOREIGN_KEY_VIOLATION, message, { [field_name] = foreign_key })
end

function M:foreign_key_violation_restricted(parent_name, child_name)
  want(parent_name, "string", "parent_name")
  want(child_name, "string", "child_name")
  local message = fmt("an existing '%s' entity references this '%s' entity", child_name, parent_name)
  return new(self, codes.FOREIGN_KEY_VIOLATION, message, { ["@referenced_by"] = child_name })
end

--- An error of foreign keys that were given by a unique field of the other side:
-- `errors[field][unique_field]` is { name, value, parent }, or a text. The tables are replaced by the texts
-- they stand for.
function M:foreign_keys_unresolved(errors)
  want(errors, "table", "errors")
  local lines = {}
  for _, field in ipairs(sorted_keys(errors)) do
    local err = errors[field]
    if type(err) == "table" then
      for _, sub in ipairs(sorted_keys(err)) do
        local text = err[sub]
        if type(text) == "table" then
          text = fmt("the foreign key cannot be resolved with '%s' for an existing '%s' entity",
            pretty({ [text.name] = text.value }, ""), text.parent)
          err[sub] = text
        end
      end
    end
  end
  flatten(errors, lines)
  local message = counted(lines, "foreign key unresolved", "foreign keys unresolved")
  return new(self, codes.FOREIGN_KEYS_UNRESOLVED, message, errors)
end

function M:unique_violation(unique_key)
  want(unique_key, "table", "unique_key")
  local shown = pretty(unique_key, ""):gsub('"userdata: NULL"', "null")
  return new(self, codes.UNIQUE_VIOLATION, fmt("UNIQUE violation detected on '%s'", shown), unique_key)
end

function M:not_found(primary_key)
  want(primary_key, "table", "primary_key")
  local message = fmt("could not find the entity with primary key '%s'", pretty(primary_key, ""))
  return new(self, codes.NOT_FOUND, message, primary_key)
end

function M:not_found_by_field(filter)
  want(filter, "table", "filter")
  return new(self, codes.NOT_FOUND, fmt("could not find the entity with '%s'", pretty(filter, "")), filter)
end

function M:invalid_offset(offset, err)
  want(offset, "string", "offset")
  want(err, "string", "err")
  return new(self, codes.INVALID_OFFSET, fmt("'%s' is not a valid offset: %s", offset, err))
end

function M:database_error(err)
  return new(self, codes.DATABASE_ERROR, err or names[codes.DATABASE_ERROR])
end

function M:transformation_error(err)
  return new(self, codes.TRANSFORMATION_ERROR, err or names[codes.TRANSFORMATION_ERROR])
end

function M:invalid_size(err)
  want(err, "string", "err")
  return new(self, codes.INVALID_SIZE, err)
end

function M:invalid_unique(name, err)
  want(err, "string", "err")
  return new(self, codes.INVALID_UNIQUE, err, nil, fmt(names[codes.INVALID_UNIQUE], name))
end

function M:invalid_options(errors)
  want(errors, "table", "errors")
  local message = counted(flatten(errors, {}), "invalid option", "option violations")
  return new(self, codes.INVALID_OPTIONS, message, errors)
end

function M:operation_unsupported(err)
  want(err, "string", "err")
  return new(self, codes.OPERATION_UNSUPPORTED, err)
end

function M:invalid_workspace(ws_id)
  want(ws_id, "string", "ws_id")
  return new(self, codes.INVALID_WORKSPACE, fmt("invalid workspace '%s'", ws_id))
end

function M:invalid_unique_global(name)
  want(name, "string", "name")
  return new(self, codes.INVALID_UNIQUE_GLOBAL, fmt("unique key %s is invalid for global query", name))
end

function M:referenced_by_others(err)
  want(err, "string", "err")
  return new(self, codes.REFERENCED_BY_OTHERS, err)
end

function M:declarative_config(err_t)
  want(err_t, "table", "err_t")
  local message = fmt("declarative config is invalid: %s", pretty(err_t, ""))
  return new(self, codes.DECLARATIVE_CONFIG, message, err_t)
end

function M:sync_deltas(err_t)
  want(err_t, "table", "err_t")
  return new(self, codes.SYNC_DELTAS, fmt("sync deltas is invalid: %s", pretty(err_t, "")), err_t)
end

--- `declarative_config`, with the errors also listed entity by entity in `flattened_errors`.
function M:declarative_config_flattened(err_t, input)
  want(err_t, "table", "err_t")
  if type(input) ~= "table" then
    error("err_t input is nil or not a table", 2)
  end
  local flattened = require("moongate.db.flatten").flatten(err_t, input)
  err_t = self:declarative_config(err_t)
  err_t.flattened_errors = flattened
  return err_t
end

--- The same for `sync_deltas`.
function M:sync_deltas_flattened(err_t, entities)
  want(err_t, "table", "err_t")
  if type(entities) ~= "table" then
    error("err_entities is nil or not a table", 2)
  end
  local flattened = require("moongate.db.flatten").flatten(err_t, entities)
  err_t = self:sync_deltas(err_t)
  err_t.flattened_errors = flattened
  return err_t
end

return M
