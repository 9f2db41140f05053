-- `kong.conf_loader`: loads settings from a file, the environment and overrides into a table like
-- `kong.configuration`, or says what is wrong with them.

local ops = require("moongate.ops")["kong.conf_loader"]
local log = require("kong.cmd.utils.log")
local is_reference = require("kong.pdk.vault").is_reference

local PLACEHOLDER = "******"
local added_paths = {}

local M = {}

-- What the settings' own reader could not resolve may be in a vault written in Lua.
local function resolve(conf, strict)
  local vault
  local function get(reference, option)
    if not is_reference(reference) then
      return reference -- it has its value already
    end
    vault = vault or require("kong.pdk.vault").new({ configuration = conf })
    local value, err = vault.get(reference)
    if value ~= nil and not err then
      return value
    elseif strict then
      -- without a word it is known from before that there is none
      err = err or "could not get value from external vault (no value found)"
      return nil, ("failed to dereference '%s': %s for config option '%s'"):format(reference, err, option)
    end
    return reference
  end
  for key, reference in pairs(conf["$refs"] or {}) do
    local err
    if type(reference) ~= "table" then
      conf[key], err = get(conf[key], key)
    elseif type(conf[key]) == "table" then
      for i, item in ipairs(conf[key]) do
        conf[key][i], err = get(item, key .. "[" .. i .. "]")
        if err then
          break
        end
      end
    end
    if err then
      return nil, err
    end
  end
  return conf
end

local function given_path(path)
  if path then
    return path
  end
  for _, added in ipairs(added_paths) do
    if require("pl.path").exists(added) then
      return added
    end
  end
end

--- The settings, or nil and why not (and all that is wrong with values): defaults, `path` (a kong.conf) or
--- that at a usual place, the environment, `overrides`. With `opts.starting` a vault reference without a
--- value is an error, with `opts.stopping` its key is unset.
function M.load(path, overrides, opts)
  opts = opts or {}
  local json
  if overrides and next(overrides) ~= nil then
    json = require("cjson.safe").new().encode(overrides)
  end
  local conf, warnings, errors = ops.load(given_path(path), json, opts.stopping and "unset" or nil)
  if not conf then
    return nil, warnings, errors
  end
  if opts.starting then
    for _, warning in ipairs(warnings) do
      log.warn("%s", warning)
    end
  end
  for port, host in pairs(conf.host_ports) do
    conf.host_ports[tonumber(port) or port] = host
  end
  return resolve(conf, opts.starting)
end

--- The keys of a file as they stand in it.
function M.load_config_file(path)
  assert(type(path) == "string")
  return ops.file(path)
end

--- One more place to look for a kong.conf at.
function M.add_default_path(path)
  added_paths[#added_paths + 1] = path
end

--- A copy of a configuration that may be shown.
function M.remove_sensitive(conf)
  local copy = require("kong.tools.table").cycle_aware_deep_copy(conf)
  local secret = {}
  for _, key in ipairs(ops.sensitive()) do
    secret[key] = true
  end
  if type(copy["$refs"]) == "table" then
    for key, reference in pairs(copy["$refs"]) do
      if not secret[key] then
        copy[key] = reference
      end
    end
    copy["$refs"] = nil
  end
  for key in pairs(secret) do
    if copy[key] then
      copy[key] = PLACEHOLDER
    end
  end
  return copy
end

return setmetatable(M, {
  __call = function(_, ...)
    return M.load(...)
  end,
})
