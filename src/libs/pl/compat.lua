-- `pl.compat`: what differs between Lua versions; here there is one.

return {
  lua51 = true,
  jit = true,
  jit52 = true,
  dir_separator = "/",
  is_windows = false,
  load = load,
  setfenv = setfenv,
  getfenv = getfenv,
  package_searchpath = package.searchpath,
  execute = function(command)
    local ok, how, code = os.execute(command)
    if type(ok) == "number" then
      return ok == 0, ok > 255 and math.floor(ok / 256) or ok
    end
    return ok == true or how == "exit" and code == 0, code or 0
  end,
  warn = function(...)
    io.stderr:write("Lua warning: ", table.concat({ ... }), "\n")
  end,
}
