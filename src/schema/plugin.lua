-- Judges a plugin's configuration by its `schema.lua`.

local Schema = require "kong.db.schema"
local cjson = require "cjson"
local guard = require "moongate.schema.engine.guard"
local legacy = require "moongate.schema.legacy"
local values = require "moongate.schema.engine.values"

local null = cjson.null

local M = {}

-- Whether `require` would find a module (it is compiled at most, not run).
local function exists(module)
  if package.loaded[module] or package.preload[module] then
    return true
  end
  for _, find in ipairs(package.loaders) do
    local ok, found = pcall(find, module)
    if not ok or type(found) == "function" then
      return true
    end
  end
  return false
end

-- As for every record of an entity: a record that does not say whether it is required is.
local function require_records(record)
  for _, field in Schema.each_field(record) do
    if field.type == "record" and type(field.fields) == "table" then
      if field.required == nil then
        field.required = true
      end
      require_records(field)
    end
  end
end

-- Only `config` is judged here, but entity checks speak of `config.x`. What the other fields refer to need not be
-- there.
local function of_config(definition)
  local part = {
    fields = {},
    entity_checks = definition.entity_checks,
    shorthand_fields = definition.shorthand_fields,
  }
  for _, entry in ipairs(definition.fields or {}) do
    if type(entry) == "table" and entry.config then
      part.fields[1] = entry
    end
  end
  local schema, err = Schema.new(part)
  if not schema then
    return nil, err
  end
  require_records(schema)
  return { definition = definition, schema = schema }
end

local known = setmetatable({}, { __mode = "k" })

--- A plugin's definition and its schema of `config`; nil if it has none but a handler; nil and a text if it is refused.
local function load(name)
  local module = "kong.plugins." .. name .. ".schema"
  if not exists(module) then
    if exists("kong.plugins." .. name .. ".handler") then
      return nil
    end
    return nil, "plugin '" .. name .. "' is not installed: module 'kong.plugins." .. name .. ".handler' not found"
  end
  local ok, definition = pcall(require, module)
  if not ok then
    return nil, "error loading the schema of plugin '" .. name .. "': " .. tostring(definition)
  end
  if known[definition] then
    return known[definition]
  end
  local bad = "the schema of plugin '" .. name .. "' "
  if type(definition) ~= "table" then
    return nil, bad .. "is a " .. type(definition) .. ", not a table"
  end
  local old = legacy.explain(name, definition)
  if old then
    return nil, old
  end
  if type(definition.fields) ~= "table" then
    return nil, bad .. "is refused: error in schema definition: no 'fields' table"
  end
  local found, err = of_config(definition)
  if not found then
    return nil, bad .. "is refused: " .. err
  end
  known[definition] = found
  return found
end

-- Nulls go, lists are marked as arrays (sets too: outside Lua they are lists).
local function plain(value)
  if type(value) ~= "table" then
    return value
  end
  local new = {}
  for k, v in pairs(value) do
    if v ~= null then
      new[k] = plain(v)
    end
  end
  local mt = getmetatable(value)
  if #new > 0 or mt == cjson.array_mt or mt == values.set_mt then
    setmetatable(new, cjson.array_mt)
  end
  return new
end

-- The completed configuration, or nil and the error tree.
local function complete_and_judge(schema, config)
  local entity, errors = schema:process_auto_fields({ config = config }, "insert")
  if not entity then
    return nil, errors.config and errors or { config = errors }
  end
  local ok
  ok, errors = schema:validate(entity)
  return ok and entity.config, errors
end

--- The completed configuration, or nil and the error tree.
function M.judge(name, config)
  local found, err = load(name)
  if err then
    return nil, { name = err }
  end
  if config == nil or config == null then
    config = {}
  end
  if not found then
    return plain(config)
  end
  local schema = found.schema
  if not schema.fields.config then
    if next(config) then
      return nil, { config = "unknown field" }
    end
    return {}
  end
  if type(config) ~= "table" then
    return nil, { config = "expected a record" }
  end
  local ran, judged, errors = pcall(guard.run, complete_and_judge, schema, config)
  if not ran then
    return nil, { ["@entity"] = { "error in the schema of plugin '" .. name .. "': " .. tostring(judged) } }
  end
  if not judged then
    return nil, errors
  end
  return plain(judged)
end

--- What the schema says about the plugin's other fields: { consumer = true } where it must not have one, and
--- the protocols it takes.
function M.entity_fields(name)
  local found, err = load(name)
  if err then
    return nil, err
  end
  local flags = {}
  for _, entry in ipairs(found and found.definition.fields or {}) do
    local key, field = next(entry)
    if field.eq == null then
      flags[key] = true
    end
    if key == "protocols" and field.elements then
      flags.protocols = field.elements.one_of
    end
  end
  return flags
end

local function dress(field, value)
  if type(value) ~= "table" then
    return value
  end
  if field.type == "set" then
    return values.as_set(value)
  elseif field.type == "record" then
    for _, entry in ipairs(field.fields or {}) do
      local k, sub = next(entry)
      value[k] = dress(sub, value[k])
    end
  elseif field.type == "array" or field.type == "map" then
    local sub = field.elements or field.values
    for k, v in pairs(value) do
      value[k] = dress(sub, v)
    end
  end
  return value
end

--- The table a handler gets as `conf`: sets answer membership.
function M.conf(name, config)
  local found = load(name)
  local field = found and found.schema.fields.config
  return field and dress(field, config) or config
end

return M
