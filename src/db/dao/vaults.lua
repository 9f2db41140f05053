-- `kong.db.dao.vaults`: vaults by prefix, and the kinds of vault there are.

local constants = require "kong.constants"
local load_if_exists = require("kong.tools.module").load_module_if_exists

local M = {}

local function load_vault(self, name)
  if constants.DEPRECATED_VAULTS[name] then
    ngx.log(ngx.WARN, "vault '", name, "' has been deprecated")
  end
  local ok, strategy = load_if_exists("kong.vaults." .. name)
  if not ok then
    return nil, name .. " vault is enabled but not installed;\n" .. strategy
  end
  if type(strategy.init) == "function" then
    strategy.init()
  end
  local _, err = require("kong.db.schema.vault_loader").load_subschema(self.schema, name, self.db.errors)
  if err then
    return nil, err
  end
  ngx.log(ngx.DEBUG, "Loading vault: ", name)
  return strategy
end

--- Loads the kinds of vault in the set `names`: their schemas as subschemas, their modules into `strategies`.
function M:load_vault_schemas(names)
  local strategies, errors = {}, {}
  for name in pairs(names) do
    local strategy, err = load_vault(self, name)
    if strategy then
      strategies[name] = strategy
    else
      errors[#errors + 1] = "on vault '" .. name .. "': " .. tostring(err)
    end
  end
  if errors[1] then
    table.sort(errors)
    return nil, "error loading vault schemas: " .. table.concat(errors, "; ")
  end
  self.strategies = strategies
  return true
end

--- The cache key: without a workspace, for a prefix is unique across them.
function M:cache_key(prefix)
  if type(prefix) == "table" then
    prefix = prefix.prefix
  end
  return "vaults:" .. prefix .. ":::::"
end

return M
