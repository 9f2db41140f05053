-- Assertions that Kong's specs have beside luassert's own.

local say = require "say"
local luassert = require "luassert.assert"

local function register(name, fn, unmet, met)
  say:set("assertion." .. name .. ".negative", unmet)
  say:set("assertion." .. name .. ".positive", met)
  luassert:register("assertion", name, fn, "assertion." .. name .. ".negative", "assertion." .. name .. ".positive")
end

register("fail", function(_, args)
  local shown = {}
  for k, v in pairs(args) do shown[k] = v end
  args[1], args.n = shown, 1
  return false
end, "The fail assertion was called with:\n%s\n", "The fail assertion was called with:\n%s\n")

register("contains", function(_, args)
  local wanted, list, is_pattern = args[1], args[2], args[3]
  for i = 1, #list do
    if list[i] == wanted or is_pattern and string.match(list[i], wanted) then
      return true, { i }
    end
  end
  return false, {}
end, "Expected the array to contain:\n%s\n", "Expected the array not to contain:\n%s\n")

register("gt", function(_, args)
  local base, value = args[1], args[2]
  args[1], args[2] = value, base
  return value > base
end, "%s should be greater than %s\n", "%s should not be greater than %s\n")

luassert:register("matcher", "gt", function(_, args)
  local base = args[1]
  return function(value) return value > base end
end)

register("match_re", function(_, args)
  local text, regex = args[1], args[2]
  assert(type(text) == "string", "Expected the string argument to be a string")
  assert(type(regex) == "string", "Expected the regex argument to be a string")
  local from, _, err = ngx.re.find(text, regex)
  if err then
    error(err)
  end
  return from ~= nil
end, "Expected:\n%s\nto match:\n%s\n", "Expected:\n%s\nnot to match:\n%s\n")

-- The first difference: the path to it and both values.
local function differs(part, whole, at, wanted)
  for key, value in pairs(part) do
    local name = at and at .. "." .. key or key
    if type(value) == "table" then
      local path, a, b = differs(value, whole[key], name, wanted)
      if path then
        return path, a, b
      end
    elseif (value == whole[key]) ~= wanted then
      return name, value, whole[key]
    end
  end
end

register("partial_match", function(state, args)
  local path, a, b = differs(args[1], args[2], nil, state.mod)
  if not path then
    return state.mod
  end
  args[1], args[2], args[3], args.n = path, a, b, 3
  return not state.mod
end, "Values at %s should be equal.\nExpected: %s, given: %s\n", "Values at %s should not be equal\n")

local function use_log(state, args)
  local name = args[1] or require("spec.helpers").test_conf.nginx_err_logs
  assert(type(name) == "string", "logfile modifier expects nil, or a string as argument, got: " .. type(name))
  rawset(state, "errlog_path", name)
  return state
end

luassert:register("modifier", "logfile", use_log)
luassert:register("modifier", "errlog", use_log)

local function line_in(name, wanted, plain)
  local file = assert(io.open(name, "r"))
  for line in file:lines() do
    local found, _, err
    if plain then
      found = line:find(wanted, 1, true)
    else
      found, _, err = ngx.re.find(line, wanted, "oj")
    end
    if err then
      error(("invalid regex provided to logfile assertion %q: %s"):format(wanted, err), 5)
    elseif found then
      file:close()
      return line
    end
  end
  file:close()
end

register("line", function(state, args)
  local wanted, plain, timeout = args[1], args[2], args[3] or 2
  local name = args[4] or rawget(state, "errlog_path")
  assert(type(wanted) == "string", "Expected the regex argument to be a string")
  assert(type(name) == "string", "Expected the file path argument to be a string")
  local deadline = ngx.now() + timeout
  local found = line_in(name, wanted, plain)
  while not found and ngx.now() <= deadline do
    ngx.sleep(0.05)
    found = line_in(name, wanted, plain)
  end
  args[1], args[2], args[3], args.n = name, wanted, found, found and 3 or 2
  return found ~= nil
end, "Expected a line of the file %s to match:\n%s\n", "Expected no line of the file %s to match:\n%s\nbut: %s\n")

return true
