-- `kong.observability.tracing.propagation.extractors.*`: reading the trace a request belongs to from its headers.
-- An extractor fails silently: without a usable header there is nothing to go on with.

local ids = require("kong.observability.tracing.propagation.utils")
local bn = require("resty.openssl.bn")
local from_hex = ids.from_hex

local type, ipairs, assert, setmetatable, tonumber = type, ipairs, assert, setmetatable, tonumber

local M = {}
local PREFIX = "kong.observability.tracing.propagation.extractors."

local function warn(text)
  kong.log.warn(text .. "; ignoring.")
end

-- === what they have in common ===

local Base = { name = "base_extractor", headers_validate = { any = {}, all = {} } }
Base.__index = Base
M[PREFIX .. "_base"] = Base

--- An extractor: `headers_validate` lists headers of which `any` and `all` must be there.
function Base:new(extractor)
  extractor = setmetatable(extractor or {}, Base)
  assert(type(extractor.headers_validate) == "table", "invalid extractor instance: invalid headers_validate variable")
  return extractor
end

function Base:verify_any(headers)
  local any = self.headers_validate.any
  if not any or #any == 0 then
    return true
  elseif type(headers) ~= "table" then
    return false
  end
  for _, name in ipairs(any) do
    if headers[name] ~= nil then
      return true
    end
  end
  return false
end

function Base:verify_all(headers)
  local all = self.headers_validate.all
  if not all or #all == 0 then
    return true
  elseif type(headers) ~= "table" then
    return false
  end
  for _, name in ipairs(all) do
    if headers[name] == nil then
      return false
    end
  end
  return true
end

function Base:verify_headers(headers)
  return self:verify_any(headers) and self:verify_all(headers)
end

--- What the headers say: trace_id, span_id, parent_id as bytes, should_sample, ...; nil if nothing.
function Base:extract(headers)
  if not self:verify_headers(headers) then
    return
  end
  local found, err = self:get_context(headers)
  if err then
    kong.log.err("failed to extract tracing context: ", err)
  end
  if not found then
    return
  end
  if found.trace_id then
    found.trace_id_original_size = #found.trace_id
  end
  found.trace_id = ids.to_kong_trace_id(found.trace_id)
  found.span_id = ids.to_kong_span_id(found.span_id)
  found.parent_id = ids.to_kong_span_id(found.parent_id)
  return found
end

function Base:get_context(_)
  return nil, "get_context() not implemented in base class"
end

local function extractor(name, headers, get_context)
  local self = Base:new { headers_validate = { any = headers } }
  self.get_context = get_context
  M[PREFIX .. name] = self
end

-- === traceparent ===

extractor("w3c", { "traceparent" }, function(_, headers)
  local traceparent = headers["traceparent"]
  if type(traceparent) ~= "string" or traceparent == "" then
    return
  end
  local version, trace_id, parent_id, flags = traceparent:match("^(%x+)%-(%x+)%-(%x+)%-(%x+)$")
  if not version then
    return warn("invalid W3C traceparent header")
  elseif version ~= "00" then
    return warn("invalid W3C Trace Context version")
  elseif #trace_id ~= 32 or not trace_id:find("[^0]") then
    return warn("invalid W3C trace context trace ID")
  elseif #parent_id ~= 16 or not parent_id:find("[^0]") then
    return warn("invalid W3C trace context parent ID")
  elseif #flags ~= 2 then
    return warn("invalid W3C trace context flags")
  end
  flags = tonumber(flags, 16)
  return {
    trace_id = from_hex(trace_id),
    -- the caller's span, which is the parent of ours
    span_id = from_hex(parent_id),
    should_sample = flags % 2 == 1,
    w3c_flags = flags,
  }
end)

-- === Jaeger ===

extractor("jaeger", { "uber-trace-id" }, function(_, headers)
  local header = headers["uber-trace-id"]
  if type(header) ~= "string" or header == "" then
    return
  end
  local trace_id, span_id, parent_id, flags = header:match("^(%x+):(%x+):(%x+):(%x+)$")
  if not trace_id then
    return warn("invalid jaeger uber-trace-id header")
  elseif #trace_id > 32 or not trace_id:find("[^0]") then
    return warn("invalid jaeger trace ID")
  end
  if #parent_id ~= 16 and parent_id:find("[^0]") then
    warn("invalid jaeger parent ID") -- goes without
  end
  if #span_id > 16 or not span_id:find("[^0]") then
    return warn("invalid jaeger span ID")
  elseif #flags > 2 then
    return warn("invalid jaeger flags")
  end
  return {
    trace_id = from_hex(trace_id),
    span_id = from_hex(span_id),
    parent_id = from_hex(parent_id),
    reuse_span_id = true,
    should_sample = tonumber(flags, 16) % 2 == 1,
    baggage = ids.parse_baggage_headers(headers, "^uberctx%-(.*)$"),
  }
end)

-- === OpenTracing ===

-- A header's id of one of the lengths; nil and false if it is none.
local function id_of(headers, name, long)
  local id = headers[name]
  if id and ((#id ~= 16 and #id ~= (long or 16)) or id:match("%X")) then
    warn(name .. " header invalid")
    return nil, false
  end
  return id, true
end

-- What "1", "true", "0" and "false" say of sampling.
local function sampled(headers, name)
  local value = headers[name]
  if value == "1" or value == "true" then
    return true
  elseif value == "0" or value == "false" then
    return false
  elseif value ~= nil then
    warn(name .. " header invalid")
  end
end

extractor("ot", { "ot-tracer-sampled", "ot-tracer-traceid", "ot-tracer-spanid" }, function(_, headers)
  local should_sample = sampled(headers, "ot-tracer-sampled")
  local trace_id, good = id_of(headers, "ot-tracer-traceid", 32)
  local span_id, good_span = id_of(headers, "ot-tracer-spanid")
  if not trace_id or not good or not good_span then
    trace_id, span_id = nil, nil
  end
  return {
    trace_id = trace_id and from_hex(trace_id),
    span_id = span_id and from_hex(span_id),
    should_sample = should_sample,
    baggage = ids.parse_baggage_headers(headers, "^ot%-baggage%-(.*)$"),
  }
end)

-- === Datadog ===

local function decimal(headers, name)
  local id = headers[name]
  if not id then
    return nil
  end
  id = id:match("^%s*(%d+)%s*$")
  if not id then
    warn(name .. " header invalid")
  end
  return id
end

local DATADOG = { ["1"] = true, ["2"] = true, ["0"] = false, ["-1"] = false }

extractor("datadog", {
  "x-datadog-trace-id", "x-datadog-parent-id", "x-datadog-sampling-priority",
}, function(_, headers)
  local priority = headers["x-datadog-sampling-priority"]
  local should_sample = DATADOG[priority or ""]
  if priority ~= nil and should_sample == nil then
    return warn("x-datadog-sampling-priority header invalid")
  end
  local trace_id = decimal(headers, "x-datadog-trace-id")
  local parent_id = decimal(headers, "x-datadog-parent-id")
  return {
    trace_id = trace_id and bn.from_dec(trace_id):to_binary() or nil,
    -- the caller's span
    span_id = trace_id and parent_id and bn.from_dec(parent_id):to_binary() or nil,
    should_sample = should_sample,
  }
end)

-- === AWS X-Ray ===

local function strip(text)
  return text and (text:match("^%s*(.*%S)") or "")
end

extractor("aws", { "x-amzn-trace-id" }, function(_, headers)
  local header = headers["x-amzn-trace-id"]
  if type(header) ~= "string" then
    return
  end
  local trace_id, parent_id, should_sample
  for pair in (header .. ";"):gmatch("([^;]*);") do
    local key, value = pair:match("^([^=]*)=(.*)$")
    key, value = strip(key or pair), strip(value or "")
    if key == "Root" then
      local version, time, rest = value:match("^(%x+)%-(%x+)%-(%x+)$")
      if version ~= "1" or #time ~= 8 or #rest ~= 24 then
        return warn("invalid aws header trace id")
      end
      trace_id = from_hex(time .. rest)
    elseif key == "Parent" then
      if #value ~= 16 then
        return warn("invalid aws header parent id")
      end
      parent_id = from_hex(value)
    elseif key == "Sampled" then
      if value ~= "0" and value ~= "1" then
        return warn("invalid aws header sampled flag")
      end
      should_sample = value == "1"
    end
  end
  return { trace_id = trace_id, span_id = parent_id, should_sample = should_sample }
end)

-- === Google Cloud ===

extractor("gcp", { "x-cloud-trace-context" }, function(_, headers)
  local header = headers["x-cloud-trace-context"]
  if type(header) ~= "string" then
    return
  end
  local trace_id, span_id, rest = header:match("^([0-9a-f]+)/(%d+)(.*)$")
  local flag = rest and rest:match("^;o=(%d)$")
  if not trace_id or #trace_id ~= 32 or #span_id > 20 or (rest ~= "" and not flag) then
    return warn("invalid GCP header")
  end
  return {
    trace_id = from_hex(trace_id),
    span_id = bn.from_dec(span_id):to_binary(),
    should_sample = flag == "1",
  }
end)

-- === Instana ===

extractor("instana", { "x-instana-t", "x-instana-s", "x-instana-l" }, function(_, headers)
  local trace_id = headers["x-instana-t"]
  if type(trace_id) ~= "string" then
    return
  end
  trace_id = trace_id:match("^(%x+)")
  if not trace_id or (#trace_id ~= 16 and #trace_id ~= 32) then
    warn("x-instana-t header invalid")
  end
  local span_id = headers["x-instana-s"]
  if type(span_id) ~= "string" then
    return
  end
  span_id = span_id:match("^(%x+)")
  if not span_id then
    warn("x-instana-s header invalid")
  end
  -- "1", or "1,correlationType=..."
  local level = headers["x-instana-l"]
  return {
    trace_id = trace_id and from_hex(trace_id) or nil,
    span_id = span_id and from_hex(span_id) or nil,
    should_sample = level ~= nil and level:sub(1, 1) == "1",
  }
end)

-- === Zipkin ===

-- The single header: "b3", or an element of tracestate.
local function b3_header(headers)
  local single = headers["b3"]
  if single then
    return type(single) == "string" and single or nil
  end
  local states = headers["tracestate"]
  for _, state in ipairs(type(states) == "table" and states or { states }) do
    local found = type(state) == "string" and state:match("^b3=(.+)$")
    if found then
      return found
    end
  end
end

local B3_SINGLE = "^(%x+)%-(" .. ("%x"):rep(16) .. ")%-?([01d]?)%-?(%x*)$"
local B3_SAMPLED = { ["1"] = true, d = true, ["0"] = false }

local function b3_single(headers)
  local header = b3_header(headers)
  if not header then
    return {}
  end
  local found = { single_header = true, should_sample = B3_SAMPLED[header] }
  if found.should_sample ~= nil then
    found.flags = header == "d" and "1" or nil
    return found
  end
  local trace_id, span_id, flag, parent_id = header:match(B3_SINGLE)
  if not trace_id or (#trace_id ~= 16 and #trace_id ~= 32) or (parent_id ~= "" and #parent_id ~= 16) then
    warn("b3 single header invalid")
    return found
  end
  found.trace_id, found.span_id = trace_id, span_id
  found.parent_id = parent_id ~= "" and parent_id or nil
  found.should_sample = B3_SAMPLED[flag]
  found.flags = flag == "d" and "1" or nil
  return found
end

local function b3_multi(headers)
  local found = { should_sample = sampled(headers, "x-b3-sampled"), flags = headers["x-b3-flags"] }
  if found.flags == "1" then
    found.should_sample = true
  elseif found.flags ~= nil then
    warn("x-b3-flags header invalid")
  end
  local trace_id, good_trace = id_of(headers, "x-b3-traceid", 32)
  local span_id, good_span = id_of(headers, "x-b3-spanid")
  local parent_id, good_parent = id_of(headers, "x-b3-parentspanid")
  if good_trace and good_span and good_parent then
    found.trace_id, found.span_id, found.parent_id = trace_id, span_id, parent_id
  end
  return found
end

extractor("b3", {
  "b3", "tracestate", "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags",
}, function(_, headers)
  local single, multi = b3_single(headers), b3_multi(headers)
  local should_sample = single.should_sample
  if should_sample == nil then
    should_sample = multi.should_sample
  end
  local trace_id = single.trace_id or multi.trace_id
  local span_id = trace_id and (single.span_id or multi.span_id)
  local parent_id = trace_id and (single.parent_id or multi.parent_id)
  return {
    trace_id = trace_id and from_hex(trace_id),
    span_id = span_id and from_hex(span_id),
    parent_id = parent_id and from_hex(parent_id),
    reuse_span_id = true,
    should_sample = should_sample,
    flags = single.flags or multi.flags,
    single_header = single.single_header,
  }
end)

return M
