-- `kong.meta`: the compatibility level, and who really answers.

local version = setmetatable({ major = 3, minor = 10, patch = 0 }, {
  __tostring = function(v)
    return ("%d.%d.%d"):format(v.major, v.minor, v.patch)
  end,
})

return {
  _NAME = "kong",
  _VERSION = tostring(version),
  _VERSION_TABLE = version,
  _SERVER_TOKENS = "moongate/" .. require("moongate.ops").libs.version(),
  version = tostring(version),
}
