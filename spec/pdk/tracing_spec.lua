local context = require("kong.observability.tracing.tracing_context")

-- runs f where ngx.get_phase() answers `phase`, with an empty ngx.ctx
local function within(phase, f)
  local get_phase = ngx.get_phase
  ngx.get_phase = function() return phase end
  ngx.ctx = {}
  local ok, err = pcall(f)
  ngx.get_phase = get_phase
  if not ok then
    error(err, 0)
  end
end

local function traced(name, f)
  it(name, function()
    within("access", f)
  end)
end

local function raises(text, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.matches(text, err, nil, true)
end

describe("D1 kong.tracing", function()
  local new = require("kong.pdk.tracing").new

  describe("D1 the no-op tracer", function()
    it("D1 is the tracer with tracing off", function()
      assert.equal("noop", kong.tracing.name)
      assert.equal(new(), kong.tracing)
      assert.equal(kong.tracing, kong.tracing.new("any", { noop = true }))
      assert.equal("noop", kong.tracing.spans_table_key)
    end)

    it("D1 gives spans that record nothing", function()
      local span = kong.tracing.start_span("s")
      assert.equal(span, kong.tracing.create_span())
      assert.is_false(span.is_recording)
      for _, method in ipairs { "finish", "set_attribute", "add_event", "record_error", "set_status" } do
        assert.is_nil(span[method](span, "a", "b"))
      end
      assert.is_function(span:each_baggage_item())
      span.name = "kept?"
      assert.is_nil(span.name)
    end)

    it("D1 answers nothing else and cannot be changed", function()
      for _, name in ipairs {
        "get_spans", "get_root_span", "init_spans", "link_span", "active_span", "set_active_span", "process_span",
        "set_should_sample", "get_sampling_decision",
      } do
        assert.is_nil(kong.tracing[name]({}))
      end
      kong.tracing.mine = 1
      assert.is_nil(kong.tracing.mine)
    end)
  end)

  describe("D1 new", function()
    it("D1 makes a tracer, called as a function or by name", function()
      assert.equal("mine", kong.tracing.new("mine").name)
      assert.equal("mine", kong.tracing("mine").name)
      assert.equal("default", kong.tracing.new().name)
      assert.equal("other", kong.tracing.new("mine").new("other").name)
      local tracer = kong.tracing.new("mine", { namespace = "N" })
      assert.same({ "N_active_span", "N_SPANS" }, { tracer.active_span_key, tracer.spans_table_key })
    end)

    it("D1 samples by the trace's id", function()
      local tracer = kong.tracing.new("s", { sampling_rate = 0.5 })
      assert.is_true(tracer.sampler(("\0"):rep(16)))
      assert.is_false(tracer.sampler(("\255"):rep(16)))
      assert.is_true(tracer.sampler(("\255"):rep(8), 1))
      assert.is_false(tracer.sampler("", 0))
      assert.same({ nil, "sampling needs trace ID to be longer than 8 bytes to work" }, { tracer.sampler("1234567") })
      assert.same({ nil, "invalid fraction" }, { tracer.sampler("12345678", "half") })
    end)

    it("D1 becomes the global one", function()
      local mine = kong.tracing.new("mine")
      mine.set_global_tracer(mine)
      assert.equal(mine, kong.tracing)
      assert.equal(mine, new())
      mine.set_global_tracer(mine.new("x", { noop = true }))
      assert.equal("noop", kong.tracing.name)
      for _, junk in ipairs { 1, "x", {}, true } do
        raises("invalid tracer", kong.tracing.set_global_tracer, junk)
      end
    end)
  end)

  describe("D1 start_span", function()
    local tracer = kong.tracing.new("t")

    traced("D1 gives a span with ids, a kind and a start", function()
      local before = require("kong.tools.time").time_ns()
      local span = tracer.start_span("s")
      assert.same({ "s", 16, 8, 1, true }, { span.name, #span.trace_id, #span.span_id, span.kind, span.should_sample })
      assert.is_true(span.start_time_ns >= before)
      assert.is_nil(span.parent_id)
      assert.is_true(span.linked)
      assert.equal(tracer, span.tracer)
    end)

    traced("D1 takes options", function()
      local span = tracer.start_span("s", {
        start_time_ns = 5, span_kind = 3, should_sample = false, attributes = { a = 1 }, trace_id = "t",
        parent_id = "p",
      })
      assert.same({ 5, 3, false, { a = 1 }, "t", "p" },
        { span.start_time_ns, span.kind, span.should_sample, span.attributes, span.trace_id, span.parent_id })
    end)

    traced("D1 refuses others", function()
      raises("invalid span name", tracer.start_span)
      raises("invalid span name", tracer.start_span, "")
      raises("invalid span name", tracer.start_span, {})
      raises("invalid options type", tracer.start_span, "s", 1)
      raises("invalid start time", tracer.start_span, "s", { start_time_ns = "1" })
      raises("invalid start kind", tracer.start_span, "s", { span_kind = "1" })
      raises("invalid sampled", tracer.start_span, "s", { should_sample = 1 })
      raises("invalid attributes", tracer.start_span, "s", { attributes = 1 })
    end)

    traced("D1 children take the trace and the sampling of what is active", function()
      local root = tracer.start_span("root", { should_sample = false })
      tracer.set_active_span(root)
      local child = tracer.start_span("child")
      assert.same({ root.span_id, root.trace_id, false }, { child.parent_id, child.trace_id, child.should_sample })
      assert.equal(root, tracer.active_span())
      tracer.set_active_span(child)
      child:finish()
      assert.equal(root, tracer.active_span())
      root:finish()
      assert.is_nil(tracer.active_span())
      assert.same({ root, child }, { tracer.get_spans()[1], tracer.get_spans()[2] })
      assert.equal(2, tracer.get_spans()[0])
      assert.equal(root, tracer.get_root_span())
    end)

    it("D1 records nothing where there is no request", function()
      within("timer", function()
        assert.is_false(tracer.start_span("s").is_recording)
        assert.is_nil(tracer.active_span())
        tracer.set_active_span({})
        assert.is_nil(next(ngx.ctx))
      end)
    end)
  end)

  describe("D1 create_span, link_span, init_spans", function()
    local tracer = kong.tracing.new("t")

    traced("D1 a span gets its place when it is linked", function()
      local span = tracer.create_span(nil, { span_kind = 3 })
      assert.is_nil(span.linked)
      assert.is_false(span.should_sample)
      assert.is_nil(tracer.get_root_span())
      assert.equal(span, tracer.link_span(tracer, span, "later", { start_time_ns = 7, attributes = { a = 1 } }))
      assert.same({ "later", 7, { a = 1 }, true }, { span.name, span.start_time_ns, span.attributes, span.linked })
      assert.equal(tracer, span.tracer)
      assert.equal(span, tracer.get_root_span())
      raises("invalid tracer", tracer.link_span, "x", span, "s")
      raises("invalid options type", tracer.create_span, tracer, 1)
      local spans = tracer.init_spans()
      assert.equal(0, spans[0])
      assert.is_nil(tracer.get_root_span())
    end)
  end)

  describe("D1 a span", function()
    local tracer = kong.tracing.new("t")

    traced("D1 finish: once, not before its start", function()
      local span = tracer.start_span("s", { start_time_ns = 100 })
      raises("invalid span end time", span.finish, span, "1")
      span:finish(50)
      assert.is_nil(span.end_time_ns)
      span:finish(200)
      span:finish(300)
      assert.equal(200, span.end_time_ns)
      local now = tracer.start_span("now")
      now:finish()
      assert.is_true(now.end_time_ns >= now.start_time_ns)
    end)

    traced("D1 set_attribute, set_status, record_error, add_event", function()
      local span = tracer.start_span("s")
      for _, value in ipairs { "text", 1, true, { 1 } } do
        span:set_attribute("a", value)
        assert.equal(value, span.attributes.a)
      end
      span:set_attribute("a", nil)
      assert.is_nil(span.attributes.a)
      span:set_attribute("f", print)
      raises("invalid key", span.set_attribute, span, 1, 1)
      span:set_status(2)
      assert.equal(2, span.status)
      raises("invalid status", span.set_status, span, "2")
      span:add_event("e", { k = "v" }, 9)
      span:record_error("oh")
      span:record_error({})
      assert.same({ name = "e", attributes = { k = "v" }, time_ns = 9 }, span.events[1])
      assert.same({ "exception", "oh" }, { span.events[2].name, span.events[2].attributes["exception.message"] })
      assert.matches("^table: ", span.events[3].attributes["exception.message"])
      assert.equal(3, span.events[0])
      raises("invalid name", span.add_event, span, 1)
      raises("invalid attribute", span.add_event, span, "e", 1)
      assert.is_function(span:each_baggage_item())
    end)

    traced("D1 release empties it", function()
      local span = tracer.start_span("s")
      span:set_attribute("a", 1)
      span:add_event("e")
      span:release()
      assert.same({}, span)
      assert.is_nil(getmetatable(span))
    end)
  end)

  describe("D1 process_span", function()
    it("D1 visits the tracer's own spans, in log", function()
      local mine, other = kong.tracing.new("mine"), kong.tracing.new("other")
      within("log", function()
        ngx.ctx.KONG_PHASE = require("kong.pdk.private.phases").phases.log
        mine.start_span("a")
        other.start_span("b")
        mine.start_span("c")
        local seen = {}
        mine.process_span(function(span, extra) seen[#seen + 1] = span.name .. extra end, "!")
        assert.same({ "a!", "c!" }, seen)
        raises("processor must be a function", mine.process_span, 1)
      end)
    end)
  end)

  describe("D1 sampling", function()
    local tracer = kong.tracing.new("t")

    traced("D1 set_should_sample is for all spans", function()
      local a, b = tracer.start_span("a"), tracer.start_span("b")
      tracer:set_should_sample(false)
      assert.same({ false, false }, { a.should_sample, b.should_sample })
    end)

    traced("D1 get_sampling_decision asks the parent, then the rate", function()
      assert.is_false(tracer:get_sampling_decision(true, 1))
      local root = tracer.start_span("root")
      root:set_attribute("a", 1)
      assert.is_true(tracer:get_sampling_decision(true, 1)) -- no trace id yet: as the parent
      assert.is_false(tracer:get_sampling_decision(nil, 1))
      context.set_raw_trace_id(root.trace_id)
      assert.is_true(tracer:get_sampling_decision(nil, 1))
      assert.is_false(tracer:get_sampling_decision(nil, 0))
      assert.is_false(tracer:get_sampling_decision(false, 1))
      root:set_attribute("kong.propagation_only", true)
      assert.is_false(tracer:get_sampling_decision(nil, 1))
    end)
  end)
end)

describe("D1 kong.observability.tracing.tracing_context", function()
  it("D1 keeps the trace's id, its formats, flags and unlinked spans", function()
    local ctx = {}
    assert.is_nil(context.get_raw_trace_id(ctx))
    context.set_raw_trace_id("id", ctx)
    context.set_flags(1, ctx)
    context.set_unlinked_span("balancer", { 1 }, ctx)
    assert.same({ "id", 1, { 1 } },
      { context.get_raw_trace_id(ctx), context.get_flags(ctx), context.get_unlinked_span("balancer", ctx) })
    assert.same({ w3c = "a" }, context.add_trace_id_formats({ w3c = "a" }, ctx))
    assert.same({ w3c = "b", b3 = "c" }, context.add_trace_id_formats({ w3c = "b", b3 = "c" }, ctx))
  end)
end)

describe("D1 kong.dynamic_hook", function()
  local hook = require("kong.dynamic_hook")

  it("D1 runs hooks of groups that are on", function()
    local seen
    hook.hook("g1", "h", function(...) seen = { ... } end)
    hook.run_hook("g1", "h", 1)
    assert.is_nil(seen)
    assert.is_false(hook.is_group_enabled("g1"))
    hook.enable_by_default("g1")
    assert.is_true(hook.is_group_enabled("g1"))
    hook.run_hook("g1", "h", 1, nil, 3)
    assert.same({ 1, nil, 3 }, seen)
    hook.hook("g1", "bad", function() error("oh") end)
    hook.run_hook("g1", "bad")
    hook.run_hook("g1", "none")
    hook.disable_by_default("g1")
    assert.is_false(hook.is_group_enabled("g1"))
  end)

  it("D1 for one request", function()
    local ctx = {}
    hook.enable_on_this_request("g2", ctx)
    hook.enable_on_this_request("g3", ctx)
    assert.same({ enabled_groups = { g2 = true, g3 = true } }, ctx.dynamic_hook)
  end)

  it("D1 hook_function runs others beside a function", function()
    local seen = {}
    local parent = { f = function(...) return select("#", ...), ... end, v = function(...) return ... end }
    local handlers = {
      befores = { function(a) seen[#seen + 1] = "before " .. tostring(a) end, function() error("oh") end },
      afters = { function(a) seen[#seen + 1] = "after " .. tostring(a) end },
    }
    hook.hook_function("g4", parent, "f", 1, handlers)
    hook.hook_function("g4", parent, "v", "varargs", handlers)
    within("access", function()
      assert.same({ 1, "x" }, { parent.f("x", "y") })
      assert.same({}, seen)
      hook.enable_by_default("g4")
      assert.same({ 1, "x" }, { parent.f("x", "y") })
      assert.same({ "a", "b", "c" }, { parent.v("a", "b", "c") })
      hook.disable_by_default("g4")
    end)
    assert.same({ "before x", "after 1", "before a", "after a" }, seen)
  end)

  it("D1 refuses junk", function()
    raises("group_name must be a string", hook.hook, 1)
    raises("hook_name must be a string", hook.hook, "g", 1)
    raises("handler must be a function", hook.hook, "g", "h", 1)
    raises("parent must be a table", hook.hook_function, "g", 1)
    raises("function_key must be a string", hook.hook_function, "g", {}, 1)
    raises('max_args must be a number or "varargs"', hook.hook_function, "g", {}, "f", "x")
    raises('max_args must be >= 0 and <= 8, or "varargs"', hook.hook_function, "g", {}, "f", 9)
    raises("parent[f] must be a function", hook.hook_function, "g", {}, "f", 1)
    for _, name in ipairs {
      "run_hook", "is_group_enabled", "enable_on_this_request", "enable_by_default", "disable_by_default",
    } do
      raises("group_name must be a string", hook[name], 1)
    end
  end)
end)

describe("D1 kong.telemetry.log", function()
  local hook = require("kong.dynamic_hook")
  local logs = require("kong.observability.logs")

  it("D1 refuses junk", function()
    local log = kong.telemetry.log
    assert.same({ nil, "plugin_name must be a string" }, { log() })
    assert.same({ nil, "plugin_config must be a table" }, { log("p") })
    assert.same({ nil, "message_type must be a string" }, { log("p", {}) })
    assert.same({ nil, "message must be a string" }, { log("p", {}, "t", 1) })
    assert.same({ nil, "attributes must be a table" }, { log("p", {}, "t", "m", 1) })
    assert.matches("^Telemetry logging is disabled", select(2, log("p", {}, "t")))
  end)

  it("D1 keeps entries where logs are on", function()
    hook.hook("observability_logs", "push", logs.maybe_push)
    hook.enable_by_default("observability_logs")
    finally(function()
      hook.disable_by_default("observability_logs")
      ngx.ctx = {}
    end)
    logs.get_worker_logs()
    local conf = { __plugin_id = "id", plugin_instance_name = "name" }
    assert.is_true(kong.telemetry.log("mine", conf, "kind", "text", { extra = 1 }))
    ngx.log(ngx.ERR, "a line ", 1)
    kong.log.err("another")
    local kept = logs.get_worker_logs()
    assert.equal(3, #kept)
    local attributes = kept[1].attributes
    assert.same({ "text", "kind", "mine", "id", "name", 1 }, {
      kept[1].body, attributes["message.type"], attributes["plugin.name"], attributes["plugin.id"],
      attributes["plugin.instance.name"], attributes.extra,
    })
    assert.same({ "a line 1", ngx.ERR }, { kept[2].body, kept[2].log_level })
    assert.same({ "another", ngx.ERR }, { kept[3].body, kept[3].log_level })
    for _, entry in ipairs(kept) do
      assert.matches("tracing_spec.lua$", entry.attributes["introspection.source"])
    end
    assert.same({}, logs.get_worker_logs())
    assert.same({}, logs.get_request_logs())
  end)
end)
