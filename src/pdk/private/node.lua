-- `kong.pdk.private.node`: the node's id in a file of the prefix.

local fmt = string.format

local M = {}

local kept

local function path_of(prefix)
  return prefix:gsub("/+$", "") .. "/kong.id"
end

local function read(path)
  local file, err = io.open(path, "r")
  if not file then
    return nil, err
  end
  local text
  text, err = file:read("*a")
  file:close()
  return text, err
end

local function exists(path)
  local file = io.open(path, "r")
  return file and file:close() and true
end

local function initialize(prefix)
  local log, uuid = require "kong.cmd.utils.log", require "kong.tools.uuid"
  local made, made_err = require("pl.dir").makepath(prefix)
  if not made then
    return nil, fmt("failed to create directory %s: %s", prefix, made_err)
  end
  local path = path_of(prefix)
  if exists(path) then
    local id, err = read(path)
    if not id then
      return nil, fmt("failed to access file %s: %s", path, err)
    end
    if uuid.is_valid_uuid(id) then
      return true
    end
    log.debug("file %s contains invalid uuid: %s", path, id)
  end
  local id = uuid.uuid()
  log.debug("persisting node_id (%s) to %s", id, path)
  local file, err = io.open(path, "w")
  local ok = file and file:write(id)
  if file then
    file:close()
  end
  if not ok then
    return nil, fmt("failed to persist node_id to %s: %s", path, err)
  end
  kept = id
  return true
end

--- Makes the file where a data plane has none; a failure is only warned about.
function M.init_node_id(config)
  if not config or not config.prefix or config.role ~= "data_plane" then
    return
  end
  local ok, err = initialize(config.prefix)
  if not ok then
    require("kong.cmd.utils.log").warn(err)
  end
end

--- The id in the file; nil and why there is none.
function M.load_node_id(prefix)
  if not prefix then
    return nil, nil
  elseif kept then
    return kept, nil
  end
  local path = path_of(prefix)
  if not exists(path) then
    return nil, fmt("file %s does not exist", path)
  end
  local id, err = read(path)
  if not id then
    return nil, fmt("failed to access file %s: %s", path, err)
  end
  if not require("kong.tools.uuid").is_valid_uuid(id) then
    return nil, fmt("file %s contains invalid uuid: %q", path, id)
  end
  return id, nil
end

return M
