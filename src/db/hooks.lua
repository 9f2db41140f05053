-- `kong.hooks`: named points at which registered functions see, and may replace, what a DAO does.

local pack, unpack, type = table.pack, table.unpack, type

local M = {}

local registered = {}

--- Registers `hook` under `name`, by habit "dao:<operation>:<moment>". A hook gets the arguments of the run;
-- what it returns is the run's result, unless an earlier one already answered nil or false, which ends the
-- run. With `opts.low_level` it is called as `hook(results, ...)`, with the packed results so far (nil at
-- first), always, and returns packed results itself.
function M.register_hook(name, hook, opts)
  assert(type(hook) == "function", "hook must be a function")
  local list = registered[name]
  if not list then
    list = {}
    registered[name] = list
  end
  local step = hook
  if not (opts and opts.low_level) then
    step = function(results, ...)
      if results and not results[1] then
        return results
      end
      return pack(hook(...))
    end
  end
  list[#list + 1] = step
end

--- Runs the hooks of `name`: the last results, or the first argument when there are none.
function M.run_hook(name, first, ...)
  local list = registered[name]
  if not list then
    return first
  end
  local results
  for i = 1, #list do
    results = list[i](results, first, ...)
  end
  return unpack(results, 1, results.n)
end

function M.clear_hooks()
  registered = {}
end

return M
