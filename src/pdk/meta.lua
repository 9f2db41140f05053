-- kong.meta: the level of compatibility, and the gateway's own name.

local version = setmetatable({ major = 3, minor = 10, patch = 0 }, {
  __tostring = function(v)
    return v.major .. "." .. v.minor .. "." .. v.patch
  end,
})

return {
  _NAME = "kong",
  _VERSION = tostring(version),
  _VERSION_TABLE = version,
  _SERVER_TOKENS = require("moongate.ops")["kong.meta"].server_tokens(),
  version = tostring(version),
  _DEPENDENCIES = { nginx = { "1.27.1.2" } },
}
