-- `kong.tools.sandbox`: what users' Lua may do, by the settings `untrusted_lua` (off, sandbox, on),
-- `untrusted_lua_sandbox_requires` and `untrusted_lua_sandbox_environment`.

local compile = require "kong.tools.sandbox.kong"

local load, error, assert, type, ipairs, pcall, setmetatable = load, error, assert, type, ipairs, pcall, setmetatable

local OFF = "loading of untrusted Lua code disabled because 'untrusted_lua' config option is set to 'off'"

local function setting(name)
  return kong and kong.configuration and kong.configuration[name]
end

local function list(name)
  local value = setting(name)
  return type(value) == "table" and #value > 0 and value or nil
end

-- === what sandboxed Lua sees ===

-- Puts the global `path` ("a.b.c") into `target`; tables as views that cannot be written through.
local function expose(path, from, target)
  local name, rest = path:match("([^%.]+)%.?(.*)")
  local value = from[name]
  if not value then
    return
  elseif rest ~= "" then
    target[name] = target[name] or {}
    return expose(rest, value, target[name])
  end
  target[name] = type(value) == "table" and setmetatable({}, { __index = value }) or value
end

local function sealed(name)
  return setmetatable({}, {
    __newindex = function(_, key)
      error(("Cannot modify %s.%s. Protected by the sandbox."):format(name, key), -1)
    end,
    __tostring = function() return "nil" end,
  })
end

local function view(t, fields)
  return setmetatable(fields, { __index = t })
end

-- The `kong` global without what holds secrets: the settings, the connector's, licences.
local function guarded_kong()
  if type(kong) ~= "table" then
    return nil
  end
  local safe = view(kong, { licensing = sealed "kong.licensing" })
  for _, name in ipairs { "cache", "core_cache" } do
    if type(kong[name]) == "table" then
      safe[name] = view(kong[name], { cluster_events = sealed "kong.cache.cluster_events" })
    end
  end
  local conf = kong.configuration
  if type(conf) == "table" and type(conf.remove_sensitive) == "function" then
    safe.configuration = conf.remove_sensitive()
  end
  if type(kong.db) == "table" then
    safe.db = view(kong.db, {})
    if type(kong.db.connector) == "table" then
      safe.db.connector = view(kong.db.connector, { config = sealed "kong.db.connector.config" })
    end
  end
  return safe
end

local function requirer(allowed)
  return function(name)
    if not allowed or not allowed[name] then
      error(("require '%s' not allowed within sandbox"):format(name), -1)
    end
    return require(name)
  end
end

-- === settings, read once ===

local compute = {
  enabled = function() return setting "untrusted_lua" ~= "off" end,
  sandbox_enabled = function() return setting "untrusted_lua" == "sandbox" end,
  requires = function()
    local names = list "untrusted_lua_sandbox_requires"
    local allowed = names and {}
    for _, name in ipairs(names or {}) do allowed[name] = true end
    return allowed
  end,
  env_vars = function() return list "untrusted_lua_sandbox_environment" end,
  environment = function(self)
    local env = { require = requirer(self.requires), kong = guarded_kong(), ngx = ngx }
    for _, path in ipairs(self.env_vars or {}) do
      expose(path, _G, env)
    end
    env._G = env
    return env
  end,
  sandbox_mt = function(self) return { __index = self.environment } end,
  global_mt = function() return { __index = _G } end,
}

local function forget(self)
  for key in pairs(self) do self[key] = nil end
end

local constants = { clear = forget, reload = forget, err_msg = OFF }

local configuration = setmetatable({}, {
  __index = function(self, key)
    local how = compute[key]
    if not how then
      return constants[key]
    end
    local value = how(self)
    rawset(self, key, value)
    return value
  end,
})

-- === compiling ===

local function unrestricted(text, name, mode, env)
  return assert(load(text, name, mode, setmetatable(env, configuration.global_mt)))
end

--- A function that runs the text as the settings allow; raises. `name` may be a table with `chunkname`, `mode`,
--- `env`.
local function sandbox(text, name, mode, env)
  if not configuration.enabled then
    return error(OFF, -1)
  end
  if type(name) == "table" then
    local options = name
    name = options.chunkname or options.chunk_name
    mode, env = mode or options.mode, env or options.env
  end
  mode, env = mode or "t", env or {}
  if not configuration.sandbox_enabled then
    return unrestricted(text, name, mode, env)
  end
  return compile(text, name, mode, setmetatable(env, configuration.sandbox_mt))
end

local function strict(kind)
  return function(text, name)
    if not configuration.enabled then
      return error(OFF, -1)
    elseif not configuration.sandbox_enabled then
      return unrestricted(text, name, "t", {})
    end
    return compile["protect_" .. kind](text, name)
  end
end

--- The function that the text returns when it is run; false and an error.
local function validate_function(...)
  local ok, fn = pcall(sandbox, ...)
  if not ok then
    return false, "Error parsing function: " .. fn
  end
  local result
  ok, result = pcall(fn)
  if not ok then
    return false, result
  elseif type(result) ~= "function" then
    return false, "Bad return value from function, expected function type, got " .. type(result)
  end
  return result
end

return {
  configuration = configuration,
  sandbox = sandbox,
  sandbox_lua = strict "lua",
  sandbox_schema = strict "schema",
  sandbox_handler = strict "handler",
  validate_function = validate_function,
  --- Whether the text returns a function; it is run.
  validate = function(...)
    local fn, err = validate_function(...)
    if not fn then
      return false, err
    end
    return true
  end,
  --- Whether the text compiles; it is not run.
  validate_safe = function(...)
    local ok, err = pcall(sandbox, ...)
    if not ok then
      return false, "Error parsing function: " .. err
    end
    return true
  end,
  --- The function that the text returns; raises.
  parse = function(...)
    return assert(validate_function(...))
  end,
}
