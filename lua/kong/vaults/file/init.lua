-- A vault of files: `{vault://PREFIX/NAME}` is what the file NAME below `root` says.

local LIMIT = 1024 * 1024

local function get(conf, resource)
  -- one name, no way out of the directory
  if not resource:find("^[%w_-][%w._-]*$") then
    return nil, "no name of a secret: " .. resource
  end

  local file, err = io.open(conf.root .. "/" .. resource, "rb")
  if not file then
    return nil, err
  end

  local text = file:read(LIMIT)
  file:close()
  return text or ""
end

return {
  VERSION = "1.0.0",
  get = get,
}
