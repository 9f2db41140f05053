-- The entry: `run(args, host)` runs specs and returns the exit code, 0 when nothing
-- failed, otherwise 1.

local busted = require("busted")
local failure = require("luassert.failure")
local files = require("busted.files")
local filter = require("busted.filter")
local hosts = require("busted.host")
local luajit = require("busted.luajit")
local luassert = require("luassert")
local new_core = require("busted.core")
local options = require("busted.options")
local order = require("busted.order")
local output = require("busted.output")
local paths = require("busted.paths")
local run_suite = require("busted.suite")
require("busted.languages.en")

local NAME = "busted"

local function complain(host, message)
  host.write_error(NAME .. ": error: " .. message .. "\n")
end

-- Runs the helper: a file or a module, which may return a function to call.
local function run_helper(core, host, helper, given)
  local old_arg = rawget(_G, "arg")
  local ok, err = pcall(function()
    rawset(_G, "arg", given.arguments)
    local result
    if helper:match("%.lua$") then
      local chunk, compile_error = files.compile(host, paths.normalize(helper))
      if not chunk then error(compile_error, 0) end
      result = chunk()
    else
      result = require(helper)
    end
    if type(result) == "function" then
      local done, why = result(core, helper, given)
      if not done then error(why or "assertion failed!", 0) end
    end
  end)
  rawset(_G, "arg", old_arg)
  if not ok then
    return nil, failure.is(err) and err.message or err
  end
  return true
end

-- Counts what went wrong; with `stop` the first ends the run.
local function count_problems(core, host, stop)
  local problems = { count = 0 }
  local function problem()
    problems.count = problems.count + 1
    core.skipAll = stop
    return nil, true
  end
  core.subscribe({ "error", "output" }, function(element, _, message)
    complain(host, "Cannot load output library: " .. element.name .. "\n" .. message)
    return nil, true
  end)
  core.subscribe({ "error" }, problem)
  core.subscribe({ "failure" }, problem)
  return problems
end

local function log_successes(core, host, path)
  local names = {}
  core.subscribe({ "test", "end" }, function(_, _, status)
    if status == "success" then
      names[#names + 1] = filter.full_name(core) .. "\n"
    end
    return nil, true
  end)
  core.subscribe({ "exit" }, function()
    local ok, err = host.write_file(path, (host.read_file(path) or "") .. table.concat(names))
    if not ok then complain(host, "cannot write " .. path .. ": " .. tostring(err)) end
    return nil, true
  end)
end

local function add_paths(args)
  local function add(field, prefix)
    if #prefix > 0 then
      package[field] = (prefix .. ";" .. package[field]):gsub(";;", ";")
    end
  end
  add("path", args.lpath)
  add("cpath", args.cpath)
end

local function run_statements(statements)
  for _, statement in ipairs(statements) do
    local chunk, err = loadstring(statement, "=(command line)")
    if not chunk then error(err, 0) end
    chunk()
  end
end

local function set_up(core, args)
  if not args["auto-insulate"] then
    core.register("file", "file", {})
    core.hide("file")
  end
  if args.lazy then
    core.register("setup", "lazy_setup")
    core.register("teardown", "lazy_teardown")
  end
  core.sort = args["sort-tests"]
  core.randomize = args["shuffle-tests"]
  core.randomseed = tonumber(args.seed) or order.new_seed(hosts.current())
end

local function register_filters(core, args)
  filter.apply(core, {
    tags = args.tags,
    exclude_tags = args["exclude-tags"],
    filter = args.filter,
    filter_out = args["filter-out"],
    name = args.name,
    exclude_names_file = args["exclude-names-file"],
    list = args.list,
    stop_on_error = not args["keep-going"],
    suppress_pending = args["suppress-pending"],
  })
end

-- Everything between the command line and the exit code. Raises a string to end the run.
local function run_specs(core, host, args)
  if args.lang ~= "en" then
    error("not supported: --lang=" .. tostring(args.lang), 0)
  end
  if args.directory ~= "./" and args.directory ~= "." then
    local ok, err = hosts.need("chdir")(args.directory)
    if not ok then error(tostring(err), 0) end
  end
  set_up(core, args)
  add_paths(args)
  run_statements(args.e)

  local problems = count_problems(core, host, not args["keep-going"])
  output.load(core, args)
  luajit()
  if args.helper and args.helper ~= "" then
    local ok, err = run_helper(core, host, args.helper, {
      verbose = args.verbose,
      language = args.lang,
      arguments = args.Xhelper,
    })
    if not ok then
      host.write_error(("%s: failed running the specified helper (%s), error: %s\n"):format(NAME, args.helper, tostring(err)))
      return 1
    end
  end
  if args["log-success"] then log_successes(core, host, args["log-success"]) end
  register_filters(core, args)
  files.load(core, host, args.ROOT, {
    patterns = args.pattern,
    excludes = args["exclude-pattern"],
    recursive = args.recursive,
  })
  run_suite(core, args["repeat"], {
    seed = args.seed,
    shuffle = args["shuffle-files"],
    sort = args["sort-files"],
  })
  core.publish({ "exit" })
  return problems.count == 0 and 0 or 1
end

local function run(args, host)
  local default_output = host.isatty() and "utfTerminal" or "plainTerminal"
  local parsed, err = options.parse(args, NAME, default_output)
  if not parsed then
    host.write_error(err .. "\n")
    return 1
  elseif parsed.help then
    host.write(parsed.helpText .. "\n")
    return 0
  end

  local core = new_core()
  if parsed.version then
    host.write(core.version .. "\n")
    return 0
  end
  -- specs may write globals, as on Kong's command line
  setmetatable(_G, nil)
  local old_path, old_cpath, old_arg = package.path, package.cpath, rawget(_G, "arg")
  rawset(_G, "arg", { [0] = NAME, unpack(args) })
  local snapshot = luassert:snapshot()
  local _, finish = busted(core)
  local ok, result = xpcall(function() return run_specs(core, host, parsed) end, function(raised)
    if type(raised) == "string" and not raised:find("^moongate/") then return raised end
    return debug.traceback(tostring(raised), 2)
  end)
  finish()
  snapshot:revert()
  package.path, package.cpath = old_path, old_cpath
  rawset(_G, "arg", old_arg)
  if not ok then
    complain(host, result)
    return 1
  end
  return result
end

return function(args, host)
  local current = hosts.push(host)
  local ok, result = pcall(run, args, current)
  hosts.pop()
  if not ok then error(result, 0) end
  return result
end
