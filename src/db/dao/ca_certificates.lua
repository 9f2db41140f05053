-- `kong.db.dao.ca_certificates`: one that is still named elsewhere is not deleted.

local constants = require "kong.constants"
local load_if_exists = require("kong.tools.module").load_module_if_exists

local M = {}

local function has_list(fields)
  for _, entry in ipairs(fields or {}) do
    if entry.ca_certificates then
      return true
    end
  end
  return false
end

local function config_has_list(schema)
  for _, entry in ipairs(schema.fields or {}) do
    if entry.config and has_list(entry.config.fields) then
      return true
    end
  end
  return false
end

-- Core entities with a field `ca_certificates`, and loaded plugins with one in their configuration.
local entities, plugins

local function referrers()
  if not entities then
    entities = {}
    for _, name in ipairs(constants.CORE_ENTITIES) do
      if has_list(require("kong.db.schema.entities." .. name).fields) then
        entities[#entities + 1] = name
      end
    end
  end
  if not plugins then
    plugins = {}
    for name in pairs(kong.configuration.loaded_plugins or {}) do
      local ok, schema = load_if_exists("kong.plugins." .. name .. ".schema")
      if ok and config_has_list(schema) then
        plugins[#plugins + 1] = name
      end
    end
  end
  return entities, plugins
end

--- Kind and row of the first entity that names the certificate; nil, and an error if there was one.
function M:check_ca_reference(ca_id)
  local entity_names, plugin_names = referrers()
  for _, name in ipairs(entity_names) do
    local rows, err = self.db[name]:select_by_ca_certificate(ca_id, 1)
    if err then
      return nil, ("failed to select %s by ca certificate %s: %s"):format(name, ca_id, err)
    elseif rows and rows[1] then
      return name, rows[1]
    end
  end
  if plugin_names[1] then
    local rows, err = self.db.plugins:select_by_ca_certificate(ca_id, 1, plugin_names)
    if err then
      return nil, ("failed to select plugins by ca_certificate %s: %s"):format(ca_id, err)
    elseif rows and rows[1] then
      return "plugins", rows[1]
    end
  end
end

function M:delete(pk, options)
  local kind, found = self:check_ca_reference(pk.id)
  local err_t
  if kind then
    err_t = self.errors:referenced_by_others(("ca certificate %s is still referenced by %s (id = %s)"):format(
      pk.id, kind, found.id))
  elseif found then
    err_t = self.errors:database_error(found)
  else
    return self.super.delete(self, pk, options)
  end
  return nil, tostring(err_t), err_t
end

return M
