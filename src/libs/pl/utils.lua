-- `pl.utils`: the parts of Penlight's utils that plugins use.

local M = { _VERSION = "1.14.0", stdmt = { List = { _name = "List" }, Map = { _name = "Map" } } }

M.pack = table.pack
M.unpack = function(t, i, j)
  return unpack(t, i or 1, j or t.n or #t)
end

--- Escapes the magic characters of Lua's patterns.
function M.escape(s)
  return (s:gsub("[%-%.%+%[%]%(%)%$%^%%%?%*]", "%%%1"))
end

--- Splits at a pattern (white space if none is given), `plain` for literally; at most `n` parts.
function M.split(s, re, plain, n)
  if re == "" then
    return { s }
  end
  if not re then
    re, s = "%s+", s:gsub("^%s+", "")
  end
  local list, at = {}, 1
  while true do
    local from, to = s:find(re, at, plain)
    if not from or to < from then
      local last = s:sub(at)
      if last ~= "" then
        list[#list + 1] = last
      end
      return list
    end
    list[#list + 1] = s:sub(at, from - 1)
    if n and #list == n then
      list[n] = s:sub(at)
      return list
    end
    at = to + 1
  end
end

--- The parts of `split` as several values.
function M.splitv(s, re, plain, n)
  return unpack(M.split(s, re, plain, n))
end

function M.choose(condition, yes, no)
  if condition then
    return yes
  end
  return no
end

--- The content of a file; nil and an error.
function M.readfile(name, binary)
  local file, err = io.open(name, binary and "rb" or "r")
  if not file then
    return nil, err
  end
  local content
  content, err = file:read("*a")
  file:close()
  return content, err and name .. ": " .. err
end

--- The lines of a file; nil and an error.
function M.readlines(name)
  local content, err = M.readfile(name)
  if not content then
    return nil, err
  end
  local lines = {}
  for line in content:gmatch("([^\n]*)\n?") do
    lines[#lines + 1] = line
  end
  lines[#lines] = nil
  return lines
end

--- Writes a file; true, or nil and an error.
function M.writefile(name, content, binary)
  local file, err = io.open(name, binary and "wb" or "w")
  if not file then
    return nil, err
  end
  local ok
  ok, err = file:write(content)
  file:close()
  return ok and true, err
end

--- Whether a value has a type, or is an object of a class.
function M.is_type(value, kind)
  if type(kind) == "string" then
    return type(value) == kind
  end
  return getmetatable(value) == kind
end

function M.is_callable(value)
  local mt = getmetatable(value)
  return type(value) == "function" or type(mt) == "table" and mt.__call ~= nil
end

--- The function itself, or one that a string like "_1 > 2" stands for.
function M.function_arg(_, f)
  if type(f) == "string" then
    return M.string_lambda(f)
  end
  assert(M.is_callable(f), "not callable")
  return f
end

local lambdas = setmetatable({}, { __mode = "v" })

--- `"|x, y| x + y"` as a function.
function M.string_lambda(text)
  local f = lambdas[text]
  if not f then
    local args, body = text:match("^%s*|([^|]*)|(.+)$")
    assert(args, "bad lambda: " .. text)
    f = assert(loadstring("return function(" .. args .. ") return " .. body .. " end"))()
    lambdas[text] = f
  end
  return f
end

--- The first argument bound to a function.
function M.bind1(f, first)
  return function(...)
    return f(first, ...)
  end
end

local warn = function(msg, trace)
  io.stderr:write(trace and msg .. "\n" .. trace or msg, "\n")
end

--- What gets warnings about what is deprecated: `fn(message, trace)`; without one they are dropped.
function M.set_deprecation_func(fn)
  assert(fn == nil or M.is_callable(fn), "argument 1 expected a 'function', got a '" .. type(fn) .. "'")
  warn = fn or function() end
end

--- Warns: `message`, and if they are known `source`, `version_removed`, `deprecated_after`, `no_trace`.
function M.raise_deprecation(opts)
  assert(type(opts) == "table", "argument 1 expected a 'table', got a '" .. type(opts) .. "'")
  assert(type(opts.message) == "string", "field 'message' of the options table must be a string")
  local when = ""
  if opts.deprecated_after and opts.version_removed then
    when = (" (deprecated after %s, scheduled for removal in %s)"):format(opts.deprecated_after,
      opts.version_removed)
  elseif opts.deprecated_after then
    when = (" (deprecated after %s)"):format(opts.deprecated_after)
  elseif opts.version_removed then
    when = (" (scheduled for removal in %s)"):format(opts.version_removed)
  end
  local source = opts.source and "[" .. opts.source .. "] " or ""
  warn(source .. opts.message .. when, not opts.no_trace and debug.traceback("", 2) or nil)
end

--- Runs a command; whether it ended well, and its status.
M.execute = function(command)
  return require("pl.compat").execute(command)
end

--- Runs a command; also what it wrote to its outputs.
function M.executeex(command)
  local out, err = os.tmpname(), os.tmpname()
  local ok, code = M.execute("{ " .. command .. "\n} > '" .. out .. "' 2> '" .. err .. "'")
  local text, errors = M.readfile(out, true), M.readfile(err, true)
  os.remove(out)
  os.remove(err)
  return ok, code, text or "", errors or ""
end

M.load = load

--- Patterns for numbers, names and paths.
M.patterns = {
  FLOAT = "[%+%-%d]%d*%.?%d*[eE]?[%+%-]?%d*",
  INTEGER = "[+%-%d]%d*",
  IDEN = "[%a_][%w_]*",
  FILE = "[%a%.\\][:%][%w%._%-\\]*",
}

--- Ends the program with a message: `quit([status,] fmt, ...)`.
function M.quit(code, msg, ...)
  if type(code) == "string" then
    return M.quit(-1, code, msg, ...)
  elseif msg then
    io.stderr:write(msg:format(...), "\n")
  end
  os.exit(code, true)
end

function M.printf(fmt, ...)
  io.stdout:write(fmt:format(...))
end

function M.fprintf(file, fmt, ...)
  file:write(fmt:format(...))
end

--- Raises unless an argument has a type (and passes `verify`); returns it.
function M.assert_arg(n, value, kind, verify, msg, level)
  if type(value) ~= kind then
    error(("argument %d expected a '%s' got a '%s'"):format(n, kind, type(value)), level or 2)
  elseif verify and not verify(value) then
    error(("argument %d: '%s' %s"):format(n, value, msg), level or 2)
  end
  return value
end

function M.assert_string(n, value)
  return M.assert_arg(n, value, "string", nil, nil, 3)
end

--- A function that remembers its results.
function M.memoize(f)
  local cache = {}
  return function(key)
    local value = cache[key]
    if value == nil then
      value = f(key)
      cache[key] = value
    end
    return value
  end
end

--- The second argument bound to a function.
function M.bind2(f, second)
  f = M.function_arg(1, f)
  return function(first, ...)
    return f(first, second, ...)
  end
end

--- Iterates over the keys that are no whole numbers from 1.
function M.kpairs(t)
  local key
  return function()
    local value
    repeat
      key, value = next(t, key)
    until type(key) ~= "number" or key < 1 or key % 1 ~= 0
    return key, value
  end
end

--- Iterates over a list with holes, up to `t.n` or its length.
function M.npairs(t, first, last, step)
  step, last = step or 1, last or t.n or #t
  local i = (first or 1) - step
  return function()
    i = i + step
    if step > 0 and i <= last or step < 0 and i >= last then
      return i, t[i]
    end
  end
end

--- A table that knows some names only; others raise, or are told by calling it.
function M.enum(...)
  local names = type((...)) == "table" and (...) or { ... }
  local list, known = {}, {}
  for key, value in pairs(names) do
    local name = type(key) == "number" and value or key
    known[name] = value
    list[#list + 1] = "'" .. tostring(name) .. "'"
  end
  table.sort(list)
  local function unknown(key)
    return ("'%s' is not a valid value (expected one of: %s)"):format(tostring(key), table.concat(list, ", "))
  end
  return setmetatable(known, {
    __index = function(_, key)
      error(unknown(key), 2)
    end,
    __newindex = function()
      error("the Enum object is read-only", 2)
    end,
    __call = function(self, key)
      local value = rawget(self, key)
      if value == nil then
        return nil, unknown(key)
      end
      return value
    end,
  })
end

--- An argument of a shell command in quotes; a list of them joined.
function M.quote_arg(arg)
  if type(arg) == "table" then
    local out = {}
    for i, item in ipairs(arg) do
      out[i] = M.quote_arg(item)
    end
    return table.concat(out, " ")
  elseif arg == "" or arg:find("[^a-zA-Z0-9_@%+=:,./-]") then
    return "'" .. arg:gsub("'", "'\\''") .. "'"
  end
  return arg
end

--- The items of a list as text, in a new list or into `temp`.
function M.array_tostring(t, temp, tostr)
  temp, tostr = temp or {}, tostr or tostring
  for i = 1, #t do
    temp[i] = tostr(t[i], i)
  end
  return temp
end

--- Raises, or returns nil and the error, or exits: this runtime returns.
function M.raise(err)
  return nil, err
end

return M
