-- kong.tracing with tracing off (tracing_instrumentations = off): Kong's no-op tracer. Tracers of plugins are not
-- there yet.

local function nothing() end

local span = setmetatable({
  is_recording = false,
  finish = nothing,
  set_attribute = nothing,
  add_event = nothing,
  record_error = nothing,
  set_status = nothing,
  each_baggage_item = function()
    return nothing
  end,
}, { __newindex = nothing })

local function new_span()
  return span
end

local tracer = {
  name = "noop",
  start_span = new_span,
  create_span = new_span,
  get_spans = nothing,
  get_root_span = nothing,
  init_spans = nothing,
  link_span = nothing,
  active_span = nothing,
  set_active_span = nothing,
  process_span = nothing,
  set_should_sample = nothing,
  get_sampling_decision = nothing,
  spans_table_key = "noop",
}

local function new_tracer(_, options)
  if options and options.noop then
    return tracer
  end
  error("not supported: kong.tracing.new", 2)
end

tracer.new = new_tracer

function tracer.set_global_tracer()
  error("not supported: kong.tracing.set_global_tracer", 2)
end

setmetatable(tracer, {
  __call = function(_, name, options)
    return new_tracer(name, options)
  end,
  __newindex = nothing,
})

return {
  new = function()
    return tracer
  end,
}
