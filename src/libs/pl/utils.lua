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
    when = (" (deprecated after %s, scheduled for removal in %s)"):format(opts.deprecated_after, opts.version_removed)
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

--- Raises, or returns nil and the error, or exits: this runtime returns.
function M.raise(err)
  return nil, err
end

return M
