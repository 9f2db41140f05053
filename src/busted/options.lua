-- The command line and the `.busted` file: what was asked for, as one table keyed by
-- option names (long and short).

local host = require("busted.host")
local paths = require("busted.paths")
local config = require("busted.config")

local LPATH = "./src/?.lua;./src/?/?.lua;./src/?/init.lua"
local CPATH = "./csrc/?.so;./csrc/?/?.so;"
local SEED = "/dev/urandom or os.time()"

-- { short, long, kind, default, help }. Kinds: flag; value; number; list (split at
-- commas, adds up); multi (adds up); path (joined by ";"); names (joined by ","); dir.
local OPTIONS = {
  { nil, "help", "flag", nil, "print this help and exit" },
  { nil, "version", "flag", false, "print the version and exit" },
  { "p", "pattern", "multi", "_spec", "only run files whose name matches the Lua pattern" },
  { nil, "exclude-pattern", "multi", nil, "do not run files whose name matches the Lua pattern" },
  { "e", nil, "multi", nil, "execute a Lua statement before the tests" },
  { "o", "output", "value", nil, "output handler: utfTerminal, plainTerminal, gtest, TAP, junit, json, a module or a .lua file" },
  { "C", "directory", "dir", "./", "change to this directory first" },
  { "f", "config-file", "value", nil, "read options from this file instead of .busted" },
  { nil, "coverage-config-file", "value", nil, "accepted, without effect" },
  { "t", "tags", "list", {}, "only run tests with these #tags" },
  { nil, "exclude-tags", "list", {}, "do not run tests with these #tags" },
  { nil, "filter", "multi", {}, "only run tests whose full name matches the Lua pattern" },
  { nil, "name", "multi", {}, "run the test with this full name" },
  { nil, "filter-out", "multi", {}, "do not run tests whose full name matches the Lua pattern" },
  { nil, "exclude-names-file", "value", nil, "do not run the tests named in this file" },
  { nil, "log-success", "value", nil, "append the name of each successful test to this file" },
  { "m", "lpath", "path", LPATH, "put in front of package.path" },
  { nil, "cpath", "path", CPATH, "put in front of package.cpath" },
  { "r", "run", "value", nil, "take this task of the .busted file" },
  { nil, "repeat", "number", "1", "run the tests this many times" },
  { nil, "seed", "number", SEED, "seed of the random order" },
  { nil, "lang", "value", "en", "language of the messages" },
  { nil, "loaders", "names", "lua,moonscript", "accepted; Lua files are loaded" },
  { nil, "helper", "value", nil, "a .lua file or module to run before the tests" },
  { nil, "lua", "value", nil, "accepted, without effect" },
  { nil, "Xoutput", "list", {}, "pass an option to the output handler" },
  { nil, "Xhelper", "list", {}, "pass an option to the helper" },
  { "c", "coverage", "flag", false, "accepted, without effect" },
  { "v", "verbose", "flag", false, "show tracebacks" },
  { "s", "enable-sound", "flag", false, "accepted, without effect" },
  { "l", "list", "flag", false, "list the names of the tests instead of running them" },
  { nil, "ignore-lua", "flag", false, "accepted, without effect" },
  { nil, "lazy", "flag", false, "make setup and teardown lazy" },
  { nil, "auto-insulate", "flag", true, "insulate files from each other" },
  { "k", "keep-going", "flag", true, "go on after an error or failure" },
  { "R", "recursive", "flag", true, "look into subdirectories" },
  { nil, "shuffle", "flag", nil, "--shuffle-files and --shuffle-tests" },
  { nil, "shuffle-files", "flag", nil, "run files in random order" },
  { nil, "shuffle-tests", "flag", nil, "run tests in random order" },
  { nil, "sort", "flag", nil, "--sort-files and --sort-tests" },
  { nil, "sort-files", "flag", nil, "run files sorted by name" },
  { nil, "sort-tests", "flag", nil, "run tests sorted by name" },
  { nil, "suppress-pending", "flag", false, "do not show pending tests" },
  { nil, "defer-print", "flag", false, "print results at the end only" },
}

local SHORT, LONG = {}, {}
for _, option in ipairs(OPTIONS) do
  if option[1] then SHORT[option[1]] = option end
  if option[2] then LONG[option[2]] = option end
end

local function split(text, separator)
  local parts = {}
  for part in (text .. separator):gmatch("(.-)" .. separator) do
    if part ~= "" then parts[#parts + 1] = part end
  end
  return parts
end

local function append(list, values)
  for _, value in ipairs(values) do
    list[#list + 1] = value
  end
  return list
end

local function put(target, option, value)
  if option[1] then target[option[1]] = value end
  if option[2] then target[option[2]] = value end
end

-- How each kind joins a value to what came before it.
local JOIN = {
  value = function(_, value) return value end,
  number = function(_, value) return tonumber(value) end,
  list = function(old, value) return append(old or {}, split(value, ",")) end,
  multi = function(old, value) return append(old or {}, { value }) end,
  path = function(old, value) return old and old .. ";" .. value or value end,
  names = function(old, value) return old and old .. "," .. value or value end,
  dir = function(old, value) return paths.normalize(paths.join(old or "", value)) end,
}

local function take_value(parsed, option, shown, value)
  if value == nil then
    return "option " .. shown .. " requires a value"
  elseif option[3] == "number" and not tonumber(value) then
    return "argument to " .. shown .. " must be a number"
  end
  put(parsed, option, JOIN[option[3]](parsed[option[2] or option[1]], value))
end

local function take_flag(parsed, option, value)
  put(parsed, option, value)
  if option[2] == "shuffle" or option[2] == "sort" then
    parsed[option[2] .. "-files"] = value
    parsed[option[2] .. "-tests"] = value
  end
end

-- Splits one argument: option, how it was written, its attached value, flag value.
local function read_argument(argument)
  local name, value = argument:match("^%-%-([^=]+)=(.*)$")
  name = name or argument:match("^%-%-(.+)$")
  if name then
    if LONG[name] then return LONG[name], "--" .. name, value, true end
    local negated = name:match("^no%-(.+)$")
    local option = negated and LONG[negated]
    if option and option[3] == "flag" then return option, "--" .. name, value, false end
    return nil, "--" .. name
  end
  name = argument:match("^%-(X%a+)")
  if name and LONG[name] then
    return LONG[name], "-" .. name, argument:match("^%-X%a+=(.*)$"), true
  end
  local option = SHORT[argument:sub(2, 2)]
  local attached = argument:sub(3)
  return option, argument:sub(1, 2), attached ~= "" and attached or nil, true
end

-- Reads `args` into a table of what was given; nil and a message when it is wrong.
local function parse_arguments(args)
  local parsed, i = {}, 1
  local function positional(text)
    parsed.ROOT = append(parsed.ROOT or {}, split(text, ","))
  end
  while i <= #args do
    local argument = args[i]
    if argument == "--" then
      for j = i + 1, #args do positional(args[j]) end
      break
    elseif argument:sub(1, 1) ~= "-" or argument == "-" then
      positional(argument)
    else
      local option, shown, value, on = read_argument(argument)
      local err
      if not option then
        err = "unknown option " .. shown
      elseif option[3] == "flag" then
        take_flag(parsed, option, on)
        if value and shown:sub(1, 2) ~= "--" then
          -- Short flags may be written together.
          args = append({ "-" .. value }, { unpack(args, i + 1) })
          i = 0
        elseif value then
          err = "flag " .. shown .. " takes no value"
        end
      else
        if value == nil then
          i = i + 1
          value = args[i]
        end
        err = take_value(parsed, option, shown, value)
      end
      if err then return nil, err end
    end
    i = i + 1
  end
  return parsed
end

local function defaults(output)
  local values = { ROOT = { "spec" } }
  for _, option in ipairs(OPTIONS) do
    put(values, option, option[4])
  end
  values.o, values.output = output, output
  return values
end

local function as_list(value)
  if type(value) == "table" then return value end
  return { value }
end

-- Lists may come from the configuration file as one string.
local function as_split_list(value)
  local list = {}
  for _, item in ipairs(as_list(value)) do
    append(list, split(item, ","))
  end
  return list
end

local function finish(values)
  for _, name in ipairs { "e", "pattern", "exclude-pattern", "filter", "filter-out", "name" } do
    values[name] = as_list(values[name])
  end
  for _, name in ipairs { "tags", "exclude-tags", "loaders", "Xoutput", "Xhelper", "ROOT" } do
    values[name] = as_split_list(values[name])
  end
  for _, name in ipairs { "shuffle", "sort" } do
    if values[name] ~= nil then
      for _, part in ipairs { name .. "-files", name .. "-tests" } do
        if values[part] == nil then values[part] = values[name] end
      end
    end
  end
  values.p, values.t = values.pattern, values.tags
  values["repeat"] = tonumber(values["repeat"])
  return values
end

local options = {}

function options.help(name)
  local lines = { "Usage: " .. name .. " [OPTIONS] [--] [ROOT-1 [ROOT-2 [...]]]", "",
    "ROOT: spec files or folders (default: spec)", "", "OPTIONS:" }
  for _, option in ipairs(OPTIONS) do
    local words = {}
    if option[1] then words[#words + 1] = "-" .. option[1] end
    if option[2] then words[#words + 1] = (option[2]:find("^X") and "-" or "--") .. option[2] end
    local shown = table.concat(words, ", ") .. (option[3] ~= "flag" and " VALUE" or "")
    lines[#lines + 1] = ("  %-28s %s"):format(shown, option[5])
  end
  lines[#lines + 1] = "  flags that change a default can be turned off by --no-NAME"
  return table.concat(lines, "\n")
end

-- What `args` and the configuration file ask for; nil and a message when they are wrong.
function options.parse(args, name, output)
  local parsed, err = parse_arguments(args)
  if not parsed then
    return nil, name .. ": error: " .. err .. "; re-run with --help for usage."
  elseif parsed.help then
    return { help = true, helpText = options.help(name) }
  end

  local base = defaults(output)
  local values
  values, err = config.load(host.current(), base, parsed, name)
  if not values then
    return nil, err
  end
  values = finish(values)

  for _, excluded in ipairs(values["exclude-tags"]) do
    for _, included in ipairs(values.tags) do
      if excluded == included then
        return nil, name .. ": error: Cannot use --tags and --exclude-tags for the same tags"
      end
    end
  end
  return values
end

return options
