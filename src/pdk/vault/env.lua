-- The `env` vault: secrets in the environment. `my-secret` is MY_SECRET, its version 2 MY_SECRET_PREVIOUS.

local getenv, type = os.getenv, type
local gsub, upper = string.gsub, string.upper

-- The environment is looked at with each get, so there is nothing to prepare.
local function init()
  return true
end

local function get(conf, resource, version)
  local prefix = conf.prefix
  if type(prefix) == "string" then
    resource = prefix .. resource
  end
  local variable = upper((gsub(resource, "-", "_")))
  if version == 2 then
    variable = variable .. "_PREVIOUS"
  end
  return getenv(variable)
end

return {
  VERSION = require("kong.meta")._VERSION,
  init = init,
  get = get,
  -- nothing to wait for: it answers in every phase
  immediate = true,
}
