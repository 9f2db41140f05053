-- Which strategy answers for a reference, and with which configuration: the settings' (`vault_<name>_<key>`)
-- for a vault that goes by its strategy's name, an entity's for one that goes by its prefix; a reference's
-- own query comes before either.

-- settings and queries are text; the schema says what was meant by it
local infer = require("kong.api.arguments").infer_value
local parse = require("moongate.vault.reference").parse
local encode_base64url = require("ngx.base64").encode_base64url

local ngx = ngx
local type, pairs, pcall, tostring = type, pairs, pcall, tostring
local fmt, gsub, lower, concat = string.format, string.gsub, string.lower, table.concat

local ANY_WORKSPACE = { workspace = ngx.null }

local M = {}

--- The names that are strategies rather than prefixes, and what was loaded for them so far.
function M.new(pdk)
  local names = {}
  local configuration = pdk and pdk.configuration
  local enabled = configuration and configuration.loaded_vaults or require("kong.constants").BUNDLED_VAULTS
  for name in pairs(enabled) do
    names[name] = true
  end
  return { pdk = pdk, names = names, loaded = {}, base = {} }
end

-- From the DAO, whose strategies are those of the settings.
local function from_dao(vaults, name)
  local strategy = vaults.strategies[name]
  if not strategy then
    return nil, fmt("could not find vault (%s)", name)
  end
  local subschema = vaults.schema.subschemas[name]
  if not subschema then
    return nil, fmt("could not find vault schema (%s): %s", name, tostring(strategy))
  end
  return strategy, subschema
end

-- From the Lua path, where there is no DAO yet: settings, specs, the command line.
local function from_path(Schema, name)
  local ok, strategy = pcall(require, "kong.vaults." .. name)
  if not ok then
    return nil, fmt("could not find vault (%s): %s", name, tostring(strategy))
  end
  local found, definition = pcall(require, "kong.vaults." .. name .. ".schema")
  if not found then
    return nil, fmt("could not find vault schema (%s): %s", name, tostring(definition))
  end
  local schema = Schema.new(require("kong.db.schema.entities.vaults"))
  local loaded, err = schema:new_subschema(name, definition)
  if not loaded then
    return nil, fmt("could not load vault sub-schema (%s): %s", name, tostring(err))
  end
  local subschema = schema.subschemas[name]
  if not subschema then
    return nil, fmt("could not find vault sub-schema (%s)", name)
  end
  if type(strategy.init) == "function" then
    strategy.init()
  end
  return strategy, subschema
end

--- The strategy of that name and the schema of its configuration, loaded once.
local function load(self, name)
  local known = self.loaded[name]
  if known then
    return known
  end
  local Schema = require("kong.db.schema")
  local vaults = self.pdk and self.pdk.db and self.pdk.db.vaults
  local strategy, found
  if vaults and vaults.strategies then
    strategy, found = from_dao(vaults, name)
  else
    strategy, found = from_path(Schema, name)
  end
  if not strategy then
    return nil, found
  end
  known = { strategy = strategy, schema = Schema.new(found.fields.config) }
  self.loaded[name] = known
  return known
end

local function underscored(text)
  return (gsub(text, "-", "_"))
end

-- Settings stay as they are while a state lives.
local function base_of_settings(self, name)
  local base = self.base[name]
  if base then
    return base
  end
  base = {}
  local configuration = self.pdk and self.pdk.configuration
  if not configuration then
    return base
  end
  local vault, err = load(self, name)
  if not vault then
    return nil, err
  end
  for key, field in vault.schema:each_field() do
    local value = infer(configuration[lower("vault_" .. underscored(name) .. "_" .. underscored(key))], field)
    if value ~= nil and vault.schema:validate_field(field, value) then
      base[key] = value
    elseif field.required and field.default ~= nil then
      base[key] = field.default
    end
  end
  self.base[name] = base
  return base
end

local function entity_of_prefix(self, prefix)
  local pdk = self.pdk
  if not (pdk and pdk.db) then
    return nil, "unable to retrieve config from db"
  end
  -- Not by way of a cache: the secret is what is kept, and another worker that has not taken in a new
  -- configuration yet would share the old vault.
  local entity, err = pdk.db.vaults:select_by_prefix(prefix, ANY_WORKSPACE)
  if entity then
    return entity
  elseif err then
    return nil, fmt("could not find vault (%s): %s", prefix, tostring(err))
  end
  return nil, fmt("could not find vault (%s)", prefix)
end

-- The valid part of the configuration, and a digest of it that is the same in every worker.
local function configure(name, schema, base, given)
  local config, parts = {}, { name }
  given = given or config
  for key, field in schema:each_field() do
    local value = infer(given[key] or base[key], field)
    if value ~= nil and schema:validate_field(field, value) then
      config[key] = value
      parts[#parts + 1] = key .. "=" .. tostring(value)
    end
  end
  return config, encode_base64url(ngx.md5_bin(concat(parts, ";")))
end

--- What it takes to look a reference up: `{ strategy, config, hash, cache_key, resource, version, key }`.
function M.find(self, reference)
  local parsed, err = parse(reference)
  if not parsed then
    return nil, err
  end
  local name, base = parsed.name, nil
  if self.names[name] then
    base, err = base_of_settings(self, name)
  else
    local entity
    entity, err = entity_of_prefix(self, name)
    if entity then
      name, base = entity.name, entity.config or {}
    end
  end
  if not base then
    return nil, err
  end
  local vault
  vault, err = load(self, name)
  if not vault then
    return nil, err
  end
  local config, hash = configure(name, vault.schema, base, parsed.config)
  return {
    strategy = vault.strategy,
    config = config,
    hash = hash,
    cache_key = hash .. "." .. reference,
    resource = parsed.resource,
    version = parsed.version,
    key = parsed.key,
  }
end

-- Digests are 22 characters long.
--- The reference of a cache key, or nil and why it is none.
function M.reference_of(cache_key)
  local reference = cache_key:sub(24)
  if cache_key:sub(23, 23) ~= "." or not require("moongate.vault.reference").is_reference(reference) then
    return nil, "invalid cache key (" .. cache_key .. ")"
  end
  return reference
end

return M
