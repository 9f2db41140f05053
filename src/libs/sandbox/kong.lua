-- `kong.tools.sandbox.kong`: Lua text compiled into functions that see only a chosen environment.

local load, error, assert, type, pairs, rawset = load, error, assert, type, pairs, rawset
local setmetatable, pcall, select, unpack = setmetatable, pcall, select, unpack

local M = {}

local function compile(text, name, mode, env)
  assert(type(text) == "string", "expected a string")
  local fn, err = load(text, name, mode, env)
  if not fn then
    error(err, -1)
  end
  return fn
end

-- The safe globals, the caller's own before them, and the rest of the caller's behind.
local function environment(env)
  local new = {}
  for k, v in pairs(require("kong.tools.sandbox.environment").lua) do
    new[k] = v
  end
  if env then
    for k, v in pairs(new) do
      local own = env[k]
      if own ~= nil then
        v = own
      end
      rawset(new, k, v)
    end
    if env.require ~= nil then
      rawset(new, "require", env.require)
    end
    setmetatable(new, { __index = env })
  end
  return new
end

local function results(ok, ...)
  if not ok then
    error((...), -1)
  end
  return ...
end

--- A function that runs the text; `name` may be a table with `env`. Raises what the compiler says.
function M.protect(text, name, mode, env)
  if type(name) == "table" then
    name, mode, env = nil, nil, name.env
  end
  local fn = compile(text, name, mode or "t", environment(env))
  return function(...)
    return results(pcall(fn, ...))
  end
end

--- Compiles and runs.
function M.run(text, options, ...)
  return M.protect(text, options)(...)
end

for name, kind in pairs { protect_lua = "lua", protect_schema = "schema", protect_handler = "handler" } do
  M[name] = function(text, chunk_name)
    return compile(text, chunk_name, "t", require("kong.tools.sandbox.environment")[kind])
  end
end

return setmetatable(M, {
  __call = function(_, ...)
    return M.protect(select(1, ...), unpack({ ... }, 2, 4))
  end,
})
