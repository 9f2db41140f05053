-- Runs everything that was registered, once or repeatedly.

local new_block = require("busted.block")
local order = require("busted.order")
local host = require("busted.host")

-- Makes the suite as it was before its first run.
local function reset(core, files, seed)
  local old = core.context.get()
  core.context.clear()
  local root = core.context.get()
  for key, value in pairs(old) do
    root[key] = value
  end
  for _, file in ipairs(files) do
    for word in pairs(core.executors) do
      file[word] = nil
    end
    core.context.attach(file)
  end
  core.randomseed = tonumber(seed) or order.new_seed(host.current())
  return root
end

-- options: seed, sort, shuffle (of the files).
return function(core, runs, options)
  local root = core.context.get()
  local block = new_block(core)
  local files = {}
  for i, file in ipairs(core.context.children(root)) do
    files[i] = file
  end

  for run = 1, runs do
    if run > 1 then
      root = reset(core, files, options.seed)
      block = new_block(core)
      core.safe_publish("suite", { "suite", "reset" }, root, run, runs)
    end
    if options.sort then
      order.sort_by_name(core.context.children(root))
    elseif options.shuffle then
      root.randomseed = core.randomseed
      order.shuffle(core.context.children(root), core.randomseed)
    end

    local seed = core.randomize and core.randomseed or nil
    if core.safe_publish("suite", { "suite", "start" }, root, run, runs, seed) then
      if block.strict_setup(root) then
        core.execute()
      end
      block.lazy_teardown(root)
      block.strict_teardown(root)
    end
    core.safe_publish("suite", { "suite", "end" }, root, run, runs)
    if core.skipAll then break end
  end
end
