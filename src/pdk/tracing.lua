-- kong.tracing: spans of the running request. Tracing off, it is the no-op tracer, which can still make others.

local ffi = require("ffi")
local phases = require("kong.pdk.private.phases")

local type, error, ipairs, tostring = type, error, ipairs, tostring
local setmetatable, getmetatable = setmetatable, getmetatable
local cast = ffi.cast

-- Libraries that spans need: loaded with the first tracer that makes any.
local pool, context, random_bytes, time_ns

local function load_libraries()
  if not pool then
    pool = require("tablepool")
    context = require("kong.observability.tracing.tracing_context")
    random_bytes = require("kong.tools.rand").get_rand_bytes
    time_ns = require("kong.tools.time").time_ns
  end
end

local SPANS, SPAN, ATTRIBUTES, EVENTS = "KONG_SPAN_STORAGE", "KONG_SPAN", "KONG_SPAN_ATTRIBUTES", "KONG_SPAN_EVENTS"

-- The kind of a span that is neither a server's nor a client's.
local INTERNAL = 1

-- Sampling looks at the first 8 bytes of the id of the trace.
local SAMPLED, RANGE = 8, 2 ^ 64

-- The phases in which there are spans, as ngx.get_phase() names them.
local TRACED = {
  ssl_cert = true, rewrite = true, access = true, header_filter = true, body_filter = true, log = true, content = true,
}

local function nothing() end

-- === spans ===

local noop_span = setmetatable({
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

local Span = {}
Span.__index = Span

local function optional(value, kind, text)
  if value ~= nil and type(value) ~= kind then
    error(text, 4)
  end
end

local function check(options)
  optional(options, "table", "invalid options type")
  if options then
    optional(options.start_time_ns, "number", "invalid start time")
    optional(options.span_kind, "number", "invalid start kind")
    optional(options.should_sample, "boolean", "invalid sampled")
    optional(options.attributes, "table", "invalid attributes")
  end
end

-- Whether a trace is sampled: as the parent is, as the options say, as the sampler finds.
local function sampled(tracer, parent, options, trace_id)
  if parent and parent.should_sample ~= nil then
    return parent.should_sample
  elseif options.should_sample ~= nil then
    return options.should_sample
  elseif not tracer then
    return false
  end
  local yes, err = tracer.sampler(trace_id)
  if err then
    ngx.log(ngx.ERR, "sampler failure: ", err)
    return false
  end
  return yes
end

local function create_span(tracer, options)
  check(options)
  options = options or {}
  local span = pool.fetch(SPAN, 0, 12)
  local parent = options.parent or tracer and tracer.active_span()
  local trace_id = parent and parent.trace_id or options.trace_id or random_bytes(16)
  span.parent = parent
  span.parent_id = parent and parent.span_id or options.parent_id
  span.tracer = tracer
  span.span_id = random_bytes(8)
  span.trace_id = trace_id
  span.kind = options.span_kind or INTERNAL
  span.should_sample = sampled(tracer, parent, options, trace_id)
  return setmetatable(span, Span)
end

-- Gives a span its name and start, and a place among those of the request.
local function link_span(tracer, span, name, options)
  if tracer and type(tracer) ~= "table" then
    error("invalid tracer", 2)
  end
  check(options)
  options = options or {}
  span.tracer = span.tracer or tracer
  span.start_time_ns = options.start_time_ns or time_ns()
  span.attributes = options.attributes
  span.name = name
  span.linked = true
  local spans = tracer.get_spans()
  local n = spans[0] + 1
  spans[n], spans[0] = span, n
  return span
end

--- Ends a span, now or at `end_time_ns`; what was active before it is so again.
function Span:finish(end_time_ns)
  if self.end_time_ns ~= nil then
    return
  end
  if end_time_ns ~= nil and type(end_time_ns) ~= "number" then
    error("invalid span end time", 2)
  end
  if end_time_ns and end_time_ns < self.start_time_ns then
    ngx.log(ngx.ERR, "invalid span duration: ", end_time_ns - self.start_time_ns, " for span: ", self.name)
    return
  end
  self.end_time_ns = end_time_ns or time_ns()
  if self.active and self.tracer.active_span() == self then
    self.tracer.set_active_span(self.parent)
    self.active = nil
  end
end

local VALUES = { string = true, number = true, boolean = true, table = true, ["nil"] = true }

--- Says something of a span; nil takes it back.
function Span:set_attribute(key, value)
  if type(key) ~= "string" then
    error("invalid key", 2)
  end
  local kind = type(value)
  if not VALUES[kind] then
    -- who calls may be the gateway itself: no reason to fail
    ngx.log(ngx.ERR, debug.traceback("invalid span attribute value type: " .. kind, 2))
  end
  local attributes = self.attributes
  if attributes == nil then
    attributes = pool.fetch(ATTRIBUTES, 0, 4)
    self.attributes = attributes
  end
  attributes[key] = value
end

--- Notes that something happened, now or at `time`.
function Span:add_event(name, attributes, time)
  if type(name) ~= "string" then
    error("invalid name", 2)
  elseif attributes ~= nil and type(attributes) ~= "table" then
    error("invalid attribute", 2)
  end
  local events = self.events
  if events == nil then
    events = pool.fetch(EVENTS, 4, 0)
    events[0] = 0
    self.events = events
  end
  local n = events[0] + 1
  events[n] = { name = name, time_ns = time or time_ns(), attributes = attributes or nil }
  events[0] = n
end

function Span:record_error(err)
  self:add_event("exception", { ["exception.message"] = tostring(err) })
end

--- 0 unset, 1 ok, 2 error.
function Span:set_status(status)
  if type(status) ~= "number" then
    error("invalid status", 2)
  end
  self.status = status
end

--- Gives a span and what it holds back to the pool; who has it must not use it any more.
function Span:release()
  if type(self.attributes) == "table" then
    pool.release(ATTRIBUTES, self.attributes)
  end
  if type(self.events) == "table" then
    pool.release(EVENTS, self.events)
  end
  pool.release(SPAN, self)
end

function Span:each_baggage_item() -- luacheck: ignore
  return nothing
end

-- === tracers ===

local function new_sampler(default)
  return function(trace_id, rate)
    rate = rate or default
    if type(rate) ~= "number" then
      return nil, "invalid fraction"
    elseif rate >= 1 then
      return true
    elseif rate <= 0 then
      return false
    elseif #trace_id < SAMPLED then
      return nil, "sampling needs trace ID to be longer than " .. SAMPLED .. " bytes to work"
    end
    return cast("const uint64_t *", trace_id)[0] < rate * RANGE
  end
end

local Tracer = {}
Tracer.__index = Tracer

local function traced()
  return TRACED[ngx.get_phase()]
end

-- The functions of a tracer that are called without it: they keep what they need.
local function equip(self)
  local active, all = self.active_span_key, self.spans_table_key

  function self.active_span()
    if traced() then
      return ngx.ctx[active]
    end
  end

  function self.set_active_span(span)
    if traced() then
      if span then
        span.active = true
      end
      ngx.ctx[active] = span
    end
  end

  function self.start_span(name, options)
    if not traced() then
      return noop_span
    end
    if type(name) ~= "string" or #name == 0 then
      error("invalid span name", 2)
    end
    local span = create_span(self, options)
    link_span(self, span, name, options)
    return span
  end

  function self.init_spans()
    local spans = pool.fetch(SPANS, 10, 0)
    spans[0] = 0
    ngx.ctx[all] = spans
    return spans
  end

  function self.get_spans()
    return ngx.ctx[all] or self.init_spans()
  end

  function self.get_root_span()
    local spans = self.get_spans()
    return spans and spans[1]
  end

  function self.process_span(processor, ...)
    phases.check(phases.phases.log)
    if type(processor) ~= "function" then
      error("processor must be a function", 2)
    end
    for _, span in ipairs(self.get_spans() or {}) do
      if span.tracer and span.tracer.name == self.name then
        processor(span, ...)
      end
    end
  end

  -- whoever calls these says whose the span is
  function self.create_span(tracer, options)
    return create_span(tracer, options)
  end

  function self.link_span(tracer, span, name, options)
    return link_span(tracer, span, name, options)
  end

  --- All spans of the request are sampled from now on, or none is.
  function self:set_should_sample(should_sample)
    for _, span in ipairs(self.get_spans() or {}) do
      if span.is_recording ~= false then
        span.should_sample = should_sample
      end
    end
  end

  --- Whether this trace is sampled, as its parent and the rate say.
  function self:get_sampling_decision(parent_should_sample, plugin_sampling_rate)
    local root = self.get_root_span()
    local trace_id = context.get_raw_trace_id(ngx.ctx)
    local rate = plugin_sampling_rate or kong.configuration.tracing_sampling_rate
    -- without a root there are no spans; one made for the headers only is none of them
    if not root or (root.attributes and root.attributes["kong.propagation_only"]) then
      return false
    elseif parent_should_sample == false or not trace_id then
      return parent_should_sample and true or false
    elseif not rate then
      return false
    end
    local yes, err = self.sampler(trace_id, rate)
    if err then
      ngx.log(ngx.ERR, "sampler failure: ", err)
    end
    return yes and true or false
  end
end

local noop_tracer

local function new_tracer(name, options)
  options = options or {}
  if options.noop then
    return noop_tracer
  end
  load_libraries()
  local namespace = options.namespace or "KONG"
  options.sampling_rate = options.sampling_rate or 1.0
  local self = {
    name = name or "default",
    sampler = new_sampler(options.sampling_rate),
    active_span_key = namespace .. "_active_span",
    spans_table_key = namespace .. "_SPANS",
  }
  equip(self)
  return setmetatable(self, Tracer)
end

local current

local function set_global_tracer(tracer)
  if type(tracer) ~= "table" or (getmetatable(tracer) ~= Tracer and tracer.name ~= "noop") then
    error("invalid tracer", 2)
  end
  current = tracer
  if kong then
    kong.tracing = tracer
  end
end

local function call(_, ...)
  return new_tracer(...)
end

Tracer.new, Tracer.set_global_tracer, Tracer.__call = new_tracer, set_global_tracer, call

local function new_noop_span()
  return noop_span
end

noop_tracer = setmetatable({
  name = "noop",
  start_span = new_noop_span,
  create_span = new_noop_span,
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
  new = new_tracer,
  set_global_tracer = set_global_tracer,
}, { __call = call, __newindex = nothing })

current = noop_tracer

return {
  new = function()
    return current
  end,
}
