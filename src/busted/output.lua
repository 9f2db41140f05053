-- Loading the output handler.

local files = require("busted.files")
local hosts = require("busted.host")
local paths = require("busted.paths")

local output = {}

local function load_handler(host, name)
  if name:match("%.lua$") then
    local chunk, err = files.compile(host, paths.normalize(name))
    if not chunk then error(err, 0) end
    return chunk()
  end
  local ok, handler = pcall(require, "busted.outputHandlers." .. name)
  if ok then return handler end
  if tostring(handler):match("module '.-' not found:") then
    return require(name)
  end
  error(handler, 0)
end

-- Makes the handler that `args` ask for listen to `core`; the default one when it
-- cannot be loaded, which counts as an error.
function output.load(core, args)
  local host = hosts.current()
  local default = host.isatty() and "utfTerminal" or "plainTerminal"
  local ok, handler = pcall(load_handler, host, args.output)
  if not ok then
    core.publish({ "error", "output" }, { descriptor = "output", name = args.output }, nil, tostring(handler), {})
    handler = require("busted.outputHandlers." .. default)
  end

  local options = {
    defaultOutput = default,
    verbose = args.verbose,
    suppressPending = args["suppress-pending"],
    language = args.lang,
    deferPrint = args["defer-print"],
    arguments = args.Xoutput,
  }
  handler(options):subscribe(options)
end

return output
