-- `pl.template`: text with `$(expression)` and lines of Lua behind `#`. A template becomes a Lua function whose
-- lines stand where the template's stand, so that errors name the right ones.

local utils = require "pl.utils"

local M = {}

local OUT = " __n = __n + 1 __out[__n] = "

-- Adds the code for a stretch of text, with the expressions in it.
local function add_text(code, text, opts)
  local at = 1
  for from, expression, to in text:gmatch("()" .. opts.mark .. "(%b" .. opts.brackets .. ")()") do
    if from > at then
      code[#code + 1] = OUT .. ("%q"):format(text:sub(at, from - 1))
    end
    code[#code + 1] = OUT .. "__tostring((" .. expression:sub(2, -2) .. ") or '')"
    at = to
  end
  local rest, lost = text:sub(at), 0
  if opts.newline then
    rest, lost = rest:gsub("\n", "")
  end
  if rest ~= "" then
    code[#code + 1] = OUT .. ("%q"):format(rest)
  end
  code[#code + 1] = ("\n"):rep(lost)
  return at > 1
end

local function generate(text, opts)
  local code = { "return function() local __n, __out, __tostring = 0, {}, __tostring" }
  local dynamic, plain = false, {}
  for line in text:gmatch("[^\n]*\n?") do
    local lua = line:match("^" .. opts.escape .. "+([^\n]*\n?)")
    if lua then
      dynamic = add_text(code, table.concat(plain), opts) or true
      plain = {}
      code[#code + 1] = lua:sub(-1) == "\n" and " " .. lua or " " .. lua .. "\n"
    else
      plain[#plain + 1] = line
    end
  end
  dynamic = add_text(code, table.concat(plain), opts) or dynamic
  code[#code + 1] = " return __out end"
  return table.concat(code), dynamic
end

local function render(self, env, parent, show)
  env = env or {}
  if parent then
    setmetatable(env, { __index = parent })
  end
  setmetatable(self.env, { __index = env })
  local ok, out = xpcall(self.fn, debug.traceback)
  if not ok then
    if self.code and show then
      print(self.code)
    end
    return nil, out, self.code
  end
  return table.concat(out), nil, self.code
end

local function render_constant(self)
  return self.constant, nil, self.code
end

--- Compiles a template; an object with `render(self, env, parent, debug)`, or nil, an error and the code.
function M.compile(text, opts)
  opts = opts or {}
  local how = {
    escape = utils.escape(opts.escape or "#"),
    mark = utils.escape(opts.inline_escape or "$"),
    brackets = opts.inline_brackets or "()",
    newline = opts.newline,
  }
  local code, dynamic = generate(text, how)
  local env = { __tostring = tostring }
  local fn, err = load(code, opts.chunk_name or "TMP", "t", env)
  if not fn then
    return nil, err, code
  end
  local template = { fn = fn(), env = env, render = render, code = opts.debug and code or nil }
  if not dynamic then
    template.constant, template.render = table.concat(template.fn()), render_constant
  end
  return template
end

--- Compiles and renders; `env` may carry `_parent`, `_brackets`, `_escape`, `_inline_escape`, `_chunk_name`.
function M.substitute(text, env)
  env = env or {}
  local template, err, code = M.compile(text, {
    chunk_name = rawget(env, "_chunk_name"),
    escape = rawget(env, "_escape"),
    inline_escape = rawget(env, "_inline_escape"),
    inline_brackets = rawget(env, "_brackets"),
    debug = rawget(env, "_debug"),
  })
  if not template then
    return nil, err, code
  end
  return template:render(env, rawget(env, "_parent"), rawget(env, "_debug"))
end

return M
