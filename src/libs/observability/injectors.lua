-- `kong.observability.tracing.propagation.injectors.*`: writing the trace into the headers of the upstream request.

local ids = require("kong.observability.tracing.propagation.utils")
local bn = require("resty.openssl.bn")
local to_hex = require("resty.string").to_hex

local type, ipairs, pairs, assert, setmetatable = type, ipairs, pairs, assert, setmetatable

local M = {}
local PREFIX = "kong.observability.tracing.propagation.injectors."

-- === what they have in common ===

local Base = {
  name = "base_injector",
  context_validate = { any = {}, all = {} },
  -- the first is taken for ids of other sizes
  trace_id_allowed_sizes = { 16 },
  span_id_size_bytes = 8,
}
Base.__index = Base
M[PREFIX .. "_base"] = Base

--- An injector: `context_validate` lists what of the context must be there, `any` or `all` of it.
function Base:new(injector)
  injector = setmetatable(injector or {}, Base)
  local err = "invalid injector instance: "
  assert(type(injector.context_validate) == "table", err .. "invalid context_validate variable")
  local sizes = injector.trace_id_allowed_sizes
  assert(type(sizes) == "table" and #sizes > 0, err .. "invalid trace_id_allowed_sizes variable")
  local size = injector.span_id_size_bytes
  assert(type(size) == "number" and size > 0, err .. "invalid span_id_size_bytes variable")
  local allowed = {}
  for _, n in ipairs(sizes) do
    allowed[n] = true
  end
  injector.trace_id_allowed_sizes_lookup = allowed
  return injector
end

function Base:verify_any(context)
  local any = self.context_validate.any
  if not any or #any == 0 then
    return true
  elseif type(context) ~= "table" then
    return false, "no context to inject"
  end
  for _, field in ipairs(any) do
    if context[field] ~= nil then
      return true
    end
  end
  return false, "no required field found in context: " .. table.concat(any, ", ")
end

function Base:verify_all(context)
  local all = self.context_validate.all
  if not all or #all == 0 then
    return true
  elseif type(context) ~= "table" then
    return false, "no context to inject"
  end
  for _, field in ipairs(all) do
    if context[field] == nil then
      return false, "field " .. field .. " not found in context"
    end
  end
  return true
end

function Base:verify_context(context)
  local any, any_err = self:verify_any(context)
  local all, all_err = self:verify_all(context)
  if any and all then
    return true
  end
  local err = any_err or ""
  if all_err then
    err = err .. (any_err and ", " or "") .. all_err
  end
  return false, err
end

--- Sets the headers; the trace's id as this format writes it, or nil and an error. Changes the context.
function Base:inject(context)
  local good, err = self:verify_context(context)
  if not good then
    return nil, self.name .. " injector context is invalid: " .. err
  end
  local original = context.trace_id_original_size
  local size = self.trace_id_allowed_sizes_lookup[original] and original or self.trace_id_allowed_sizes[1]
  context.trace_id = ids.to_id_size(context.trace_id, size)
  context.span_id = ids.to_id_size(context.span_id, self.span_id_size_bytes)
  context.parent_id = ids.to_id_size(context.parent_id, self.span_id_size_bytes)
  local headers, header_err = self:create_headers(context)
  if not headers then
    return nil, header_err
  end
  local set_header = kong.service.request.set_header
  for name, value in pairs(headers) do
    set_header(name, value)
  end
  local formatted, id_err = self:get_formatted_trace_id(context.trace_id)
  if not formatted then
    return nil, id_err
  end
  return formatted
end

function Base:create_headers(_)
  return nil, "headers() not implemented in base class"
end

function Base:get_formatted_trace_id(_)
  return nil, "trace_id() not implemented in base class"
end

-- `name` of the module, what of the context it needs, allowed sizes of the trace's id, and its two functions
local function injector(name, needs, sizes, create_headers, format)
  local self = Base:new {
    name = name,
    context_validate = needs and { all = needs } or {},
    trace_id_allowed_sizes = sizes,
    span_id_size_bytes = 8,
  }
  function self:create_headers(context)
    return create_headers(context)
  end
  function self:get_formatted_trace_id(trace_id)
    return format(trace_id)
  end
  M[PREFIX .. name] = self
end

local IDS = { "trace_id", "span_id" }

local function hex_as(name)
  return function(trace_id)
    return { [name] = to_hex(trace_id) }
  end
end

-- Where there need not be an id.
local function hex_or_empty_as(name)
  return function(trace_id)
    return { [name] = trace_id and to_hex(trace_id) or "" }
  end
end

local function bit(sampled)
  return sampled and "1" or "0"
end

local function with_baggage(headers, context, prefix)
  for key, value in pairs(context.baggage or {}) do
    headers[prefix .. key] = ngx.escape_uri(value)
  end
  return headers
end

-- === the formats ===

injector("w3c", IDS, { 16 }, function(c)
  return {
    traceparent = ("00-%s-%s-%s"):format(to_hex(c.trace_id), to_hex(c.span_id), c.should_sample and "01" or "00"),
  }
end, hex_as("w3c"))

injector("b3", nil, { 16, 8 }, function(c)
  local headers = {}
  if c.trace_id and c.span_id then
    headers["x-b3-traceid"] = to_hex(c.trace_id)
    headers["x-b3-spanid"] = to_hex(c.span_id)
    headers["x-b3-parentspanid"] = c.parent_id and to_hex(c.parent_id) or nil
  end
  if c.flags then
    headers["x-b3-flags"] = c.flags
  else
    headers["x-b3-sampled"] = bit(c.should_sample)
  end
  return headers
end, hex_or_empty_as("b3"))

injector("b3-single", nil, { 16, 8 }, function(c)
  local sampled
  if c.flags == "1" then
    sampled = "d"
  elseif c.should_sample ~= nil then
    sampled = bit(c.should_sample)
  end
  if not c.trace_id or not c.span_id then
    return { b3 = sampled or "0" } -- nothing but the decision
  end
  local b3 = to_hex(c.trace_id) .. "-" .. to_hex(c.span_id)
  if sampled then
    b3 = b3 .. "-" .. sampled
  end
  if c.parent_id then
    b3 = b3 .. "-" .. to_hex(c.parent_id)
  end
  return { b3 = b3 }
end, hex_or_empty_as("b3"))

injector("jaeger", IDS, { 16, 8 }, function(c)
  local id = ("%s:%s:%s:%s"):format(to_hex(c.trace_id), to_hex(c.span_id), c.parent_id and to_hex(c.parent_id) or "0",
    c.should_sample and "01" or "00")
  return with_baggage({ ["uber-trace-id"] = id }, c, "uberctx-")
end, hex_as("jaeger"))

injector("ot", IDS, { 8, 16 }, function(c)
  local headers = { ["ot-tracer-traceid"] = to_hex(c.trace_id), ["ot-tracer-spanid"] = to_hex(c.span_id) }
  if c.should_sample ~= nil then
    headers["ot-tracer-sampled"] = bit(c.should_sample)
  end
  return with_baggage(headers, c, "ot-baggage-")
end, hex_as("ot"))

local function decimal(id)
  return id and bn.from_binary(id):to_dec() or nil
end

injector("datadog", nil, { 8 }, function(c)
  local headers = { ["x-datadog-trace-id"] = decimal(c.trace_id), ["x-datadog-parent-id"] = decimal(c.span_id) }
  if c.should_sample ~= nil then
    headers["x-datadog-sampling-priority"] = bit(c.should_sample)
  end
  return headers
end, function(trace_id)
  return { datadog = decimal(trace_id) }
end)

injector("aws", IDS, { 16 }, function(c)
  local id = to_hex(c.trace_id)
  return {
    ["x-amzn-trace-id"] = "Root=1-" .. id:sub(1, 8) .. "-" .. id:sub(9) .. ";Parent=" .. to_hex(c.span_id)
      .. ";Sampled=" .. bit(c.should_sample),
  }
end, hex_as("aws"))

injector("gcp", IDS, { 16 }, function(c)
  return {
    ["x-cloud-trace-context"] = to_hex(c.trace_id) .. "/" .. decimal(c.span_id) .. ";o=" .. bit(c.should_sample),
  }
end, hex_as("gcp"))

injector("instana", nil, { 16, 8 }, function(c)
  local headers = { ["x-instana-t"] = to_hex(c.trace_id), ["x-instana-s"] = to_hex(c.span_id) }
  if c.should_sample ~= nil then
    headers["x-instana-l"] = bit(c.should_sample)
  end
  return headers
end, hex_as("instana"))

return M
