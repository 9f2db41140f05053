-- The plugin of the walk over all names: what stands in x-walk is done in the phase that x-phase names.

local names = require "names"
local cjson = require "cjson"

local P = { PRIORITY = 1000, VERSION = "1.0.0" }

-- What is wrong with a name, or nil.
local function problem(entry)
  if entry.kind == "any" then
    return nil
  end
  local value = names.find(entry.name)
  local kind = type(value)
  if value == nil then
    return "missing"
  elseif entry.kind == "function" then
    local callable = kind == "function" or kind == "table" and (getmetatable(value) or {}).__call ~= nil
    return not callable and "a " .. kind .. ", not a function" or nil
  end
  return kind ~= entry.kind and "a " .. kind .. ", not a " .. entry.kind or nil
end

local function walk()
  local wrong = {}
  for _, list in ipairs { names.kong, names.ngx, names.resty_core } do
    for _, entry in ipairs(list) do
      local why = problem(entry)
      if why then
        wrong[#wrong + 1] = entry.name .. " is " .. why
      end
    end
  end
  return wrong
end

local huge = ("x"):rep(70000)
-- Lists of arguments that nobody means well with; the first is none at all.
local JUNK = {
  {}, { nil, nil, nil }, { false, false, false, false }, { -1, -1, -1, -1 }, { 1 / 0, -1 / 0, 0 / 0 }, { 1e308, 1e308 },
  { 0.5, 0.5, 0.5 }, { "", "", "", "" }, { "\0\255\r\n", "\0\255\r\n", "\0" }, { huge, huge, huge },
  { {}, {}, {}, {} }, { { {} }, { [1.5] = true } }, { print, print, print }, { ngx.null, ngx.null, ngx.null },
  { coroutine.create(print), coroutine.create(print) }, { newproxy(true), newproxy() }, { require("ffi").new("int[1]") },
  { setmetatable({}, { __index = function() error("junk") end, __tostring = function() error("junk") end }) },
}

local function report(list)
  kong.ctx.shared.report = setmetatable(list, cjson.array_mt)
end

-- Calls a name with the junk of number `n`, as a function and, for a method, on its object and on junk.
local function junk(name, n)
  local found = {}
  report(found)
  local f, object = names.find(name)
  local args = JUNK[n]
  local count = n == 1 and 0 or math.max(#args, 3)
  local function note(ok, err)
    if not ok then
      if type(err) ~= "string" then
        found[#found + 1] = "raised a " .. type(err)
      elseif err:find("not supported: ", 1, true) then
        found[#found + 1] = err:match("not supported: .*")
      elseif err:find("panic", 1, true) then
        found[#found + 1] = err
      end
    end
  end
  if object ~= nil then
    note(pcall(f, object, unpack(args, 1, count)))
  end
  note(pcall(f, unpack(args, 1, count)))
end

local function act(phase)
  local headers = ngx.req.get_headers()
  if headers["x-phase"] ~= phase then
    return
  end
  local name = headers["x-walk"]
  if name == "*" then
    return report(walk())
  elseif name == "count" then
    return report { #JUNK }
  end
  junk(name, tonumber(headers["x-junk"]))
end

for _, phase in ipairs { "rewrite", "access", "header_filter", "body_filter", "log" } do
  P[phase] = function()
    return act(phase)
  end
end

-- Every name, one a line.
local function all()
  local lines = {}
  for _, list in ipairs { names.kong, names.ngx, names.resty_core } do
    for _, entry in ipairs(list) do
      if entry.kind == "function" then
        lines[#lines + 1] = entry.name
      end
    end
  end
  return lines
end

-- Runs last in its phases: hands out what the others found.
local Q = { PRIORITY = 1, VERSION = "1.0.0" }

function Q.access()
  if ngx.req.get_headers()["x-walk"] == "names" then
    return kong.response.exit(200, cjson.encode(all()))
  end
end

function Q.header_filter()
  local found = kong.ctx.shared.report
  if found then
    kong.response.set_header("x-report", cjson.encode(found))
  end
end

function Q.log()
  local found = kong.ctx.shared.report
  if found and #found > 0 then
    ngx.log(ngx.ERR, "report of ", ngx.req.get_headers()["x-walk"], ": ", cjson.encode(found))
  end
end

return { walk = P, last = Q }
