-- Small helpers of `spec.helpers`.

local path = require "pl.path"

local M = {}

pcall(require("ffi").cdef, [[
int setenv(const char *name, const char *value, int overwrite);
int unsetenv(const char *name);
]])
local C = require("ffi").C

--- Sets a variable of the environment; whether it worked.
function M.setenv(name, value)
  assert(type(name) == "string", "env must be a string")
  assert(type(value) == "string", "value must be a string")
  return C.setenv(name, value, 1) == 0
end

function M.unsetenv(name)
  assert(type(name) == "string", "env must be a string")
  return C.unsetenv(name) == 0
end

--- Prints its arguments and returns them.
function M.intercept(...)
  print(require("pl.pretty").write({ n = select("#", ...), ... }))
  return ...
end

--- Text of long brackets without the indent that its first line has; `joined` without line breaks, `spaced` with
--- spaces for them.
function M.unindent(text, joined, spaced)
  text = text:match("(.-%S*)%s*$") or ""
  if text:find("^%s") then
    text = "\n" .. text
  end
  local indent = text:match("\n(%s+)") or ""
  local between = spaced and " " or joined and "" or "\n"
  text = text:gsub("^\n%s*", "")
  text = text:gsub("\n" .. indent, between)
  return (text:gsub("\n$", ""):gsub("\\r", "\r"))
end

--- Writes a declarative file (a temporary one if no name is given) and returns its name.
function M.make_yaml_file(content, filename)
  if not content then
    error("not supported: spec.helpers.make_yaml_file without content", 2)
  end
  filename = filename or os.tmpname() .. ".yml"
  local file = assert(io.open(filename, "w"))
  assert(file:write(M.unindent(content), "\n"))
  assert(file:close())
  return filename
end

local function rank(a, b)
  if a == nil then a = "" end
  if b == nil then b = "" end
  M.deep_sort(a)
  M.deep_sort(b)
  if type(a) ~= type(b) then
    return type(a) < type(b)
  elseif type(a) == "table" then
    return rank(a[1], b[1])
  elseif type(a) == "string" or type(a) == "number" then
    return a < b
  end
  return false
end

--- Sorts the lists in a table, at all depths, in place.
function M.deep_sort(t)
  if type(t) == "table" then
    for _, v in pairs(t) do
      M.deep_sort(v)
    end
    table.sort(t, rank)
  end
  return t
end

--- A new public and private key: format "PEM" or "JWK", type "RSA" or "EC".
function M.generate_keys(format, kind)
  format, kind = (format or "JWK"):upper(), (kind or "RSA"):upper()
  local options = ({
    RSA = { type = "RSA", bits = 2048, exp = 65537 },
    EC = { type = "EC", curve = "prime256v1" },
  })[kind]
  if not options then
    return nil, "unsupported key type"
  end
  local key = assert(require("resty.openssl.pkey").new(options))
  return key:tostring("public", format), key:tostring("private", format)
end

--- Runs a function in a workspace.
function M.with_current_ws(ws, fn, db)
  local before = ngx.ctx.workspace
  ngx.ctx.workspace = nil
  ws = ws or { db.workspaces:select_by_name("default") }
  ngx.ctx.workspace = ws[1] and ws[1].id
  local result = fn()
  ngx.ctx.workspace = before
  return result
end

--- A new folder, and a function that removes it.
function M.make_temp_dir()
  local name = os.tmpname()
  os.remove(name)
  assert(path.mkdir(name))
  return name, function()
    return require("pl.dir").rmtree(name)
  end
end

--- Runs a shell command: whether it ended well, what it wrote to the error output, what it wrote; with `returns`
--- whether it ended well, its status and both outputs.
function M.execute(command, returns)
  local ok, code, out, err = require("pl.utils").executeex(command)
  if returns then
    return ok, code, out, err
  end
  return ok, err, ok and out or nil
end

--- Empties a file.
function M.clean_logfile(name)
  local file = assert(io.open(name, "w+"))
  file:close()
end

--- A TCP port of this machine that nobody listens on.
function M.get_available_port()
  for _ = 1, 20 do
    local port = math.random(10000, 30000)
    local socket = ngx.socket.tcp()
    socket:settimeout(500)
    local taken = socket:connect("127.0.0.1", port)
    if not taken then
      return port
    end
    socket:close()
  end
  error("no free port was found", 2)
end

return M
