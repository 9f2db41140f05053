-- Vault references in a plugin's configuration: the schema says which fields may have them. `$refs` keeps
-- what they were.

local M = {}
local judges = {} -- by plugin name: the schema of its config, false where it has none

local function judge_of(name)
  local judge = judges[name]
  if judge == nil then
    judge = false
    local found, definition = pcall(require, "kong.plugins." .. name .. ".schema")
    for _, entry in ipairs(found and type(definition) == "table" and definition.fields or {}) do
      if entry.config then
        judge = require("kong.db.schema").new(entry.config)
      end
    end
    judges[name] = judge
  end
  return judge
end

--- The configuration with secrets for references; what is not the schema's stays as it is.
function M.resolve(name, conf)
  local judge = judge_of(name)
  if not judge then
    return conf
  end
  local beside = {}
  for key, value in pairs(conf) do
    if judge.fields[key] == nil then
      beside[key] = value
    end
  end
  local resolved = assert(judge:process_auto_fields(conf, "select"))
  for key, value in pairs(beside) do
    resolved[key] = value
  end
  return resolved
end

return M
