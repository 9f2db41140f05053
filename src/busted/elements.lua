-- The words of a spec (describe, it, before_each, ...) and what running each means.

local new_block = require("busted.block")

-- `async()` says that the test ends with a call of `done()`. Tests run to their end
-- before they are judged, so a test that returns without that call has failed.
local function add_async(core, element)
  local waiting = false
  element.env.async = function() waiting = true end
  element.env.done = function() waiting = false end
  return function()
    if waiting then
      core.fail("async() was called, but the test returned before done() was", 0)
    end
  end
end

local function run_test(core, block, element)
  local parent = core.context.parent(element)
  if not block.lazy_setup(parent) then return end

  local cleanup
  block.rejectAll(element)
  element.env.finally = function(fn) cleanup = fn end
  element.env.pending = core.pending
  local check_done = add_async(core, element)

  local ready, reached = block.before_each(parent)
  if ready then
    local status = core.status("success")
    if core.safe_publish("test", { "test", "start" }, element, parent) then
      status:update(core.safe("it", element.run, element))
      if status:success() then
        status:update(core.safe("it", check_done, element))
      end
      if cleanup then
        block.reject("pending", element)
        status:update(core.safe("finally", cleanup, element))
      end
    else
      status = core.status("error")
    end
    core.safe_publish("test", { "test", "end" }, element, parent, tostring(status))
  end
  block.after_each(reached)
end

local function run_pending(core, element)
  local parent = core.context.parent(element)
  local started = core.safe_publish("it", { "test", "start" }, element, parent)
  core.safe_publish("it", { "test", "end" }, element, parent, started and "pending" or "error")
end

return function(core)
  local block = new_block(core)

  core.register("file", function(element)
    core.wrap(element.run)
    if core.safe_publish("file", { "file", "start" }, element) then
      block.execute("file", element)
    end
    core.safe_publish("file", { "file", "end" }, element)
  end, { envmode = "insulate" })

  core.register("describe", function(element)
    local parent = core.context.parent(element)
    if core.safe_publish("describe", { "describe", "start" }, element, parent) then
      block.execute("describe", element)
    end
    core.safe_publish("describe", { "describe", "end" }, element, parent)
  end)
  core.register("insulate", "describe", { envmode = "insulate" })
  core.register("expose", "describe", { envmode = "expose" })

  core.register("it", function(element) run_test(core, block, element) end)
  core.register("pending", function(element) run_pending(core, element) end, { default_fn = function() end })

  for _, word in ipairs {
    "before_each", "after_each", "lazy_setup", "lazy_teardown", "strict_setup", "strict_teardown",
  } do
    core.register(word, { envmode = "unwrap" })
  end

  core.register("setup", "strict_setup")
  core.register("teardown", "strict_teardown")
  core.register("context", "describe")
  core.register("spec", "it")
  core.register("test", "it")
  core.hide("file")
end
