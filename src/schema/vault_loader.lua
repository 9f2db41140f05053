-- `kong.db.schema.vault_loader`: from a vault's `schema.lua` to the subschema of `vaults`.

local Entity = require "kong.db.schema.entity"
local MetaSchema = require "kong.db.schema.metaschema"
local load_module_if_exists = require("kong.tools.module").load_module_if_exists

local M = {}

--- Makes the vault's schema a subschema of `parent_schema` and returns its definition; nil and why not.
function M.load_subschema(parent_schema, vault, errors)
  local found, schema = load_module_if_exists("kong.vaults." .. vault .. ".schema")
  if not found then
    return nil, "no configuration schema found for vault: " .. vault
  end
  local ok, err = MetaSchema.MetaSubSchema:validate(schema)
  if not ok then
    return nil, tostring(errors:schema_violation(err))
  end
  ok, err = Entity.new_subschema(parent_schema, vault, schema)
  if not ok then
    return nil, "error initializing schema for vault: " .. err
  end
  return schema
end

return M
