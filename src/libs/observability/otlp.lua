-- `kong.observability.otlp`: spans and lines of the log as messages of OTLP.

require("kong.observability.otlp.proto")
local pb = require("pb")
local tables = require("kong.tools.table")

local type, error, pairs, ipairs, assert, setmetatable = type, error, pairs, ipairs, assert, setmetatable

-- Fields whose numbers are whole ones.
local WHOLE = { ["http.status_code"] = true }
local KINDS = { string = "string_value", number = "double_value", boolean = "bool_value" }

local M = {}

local transform_value

-- A table as key and value pairs.
local function transform_attributes(attributes)
  if type(attributes) ~= "table" then
    error("invalid attributes", 2)
  end
  local out = {}
  for key, value in pairs(attributes) do
    out[#out + 1] = { key = key, value = transform_value(key, value) }
  end
  return out
end

transform_value = function(key, value)
  if type(value) ~= "table" then
    local kind = WHOLE[key] and "int_value" or KINDS[type(value)]
    return kind and { [kind] = value } or {}
  end
  if tables.is_array(value) then
    local values = {}
    for i, one in ipairs(value) do
      values[i] = transform_value("", one)
    end
    return { array_value = { values = values } }
  end
  return { kvlist_value = { values = transform_attributes(value) } }
end

local function transform_events(events)
  if type(events) ~= "table" then
    return nil
  end
  local out = {}
  for i, event in ipairs(events) do
    out[i] = {
      name = event.name,
      time_unix_nano = event.time_ns,
      attributes = event.attributes and transform_attributes(event.attributes),
    }
  end
  return out
end

-- The last `size` bytes of an id, with zeros in front of a shorter one.
local function sized(size)
  return function(id)
    if #id > size then
      return id:sub(-size)
    end
    return ("\0"):rep(size - #id) .. id
  end
end

M.to_ot_trace_id = sized(16)
local to_span_id = sized(8)

--- A span as a table for `pb`.
function M.transform_span(span)
  assert(type(span) == "table")
  return {
    trace_id = M.to_ot_trace_id(span.trace_id),
    span_id = span.span_id,
    parent_span_id = span.parent_id and to_span_id(span.parent_id) or "",
    name = span.name,
    kind = span.kind or 0,
    start_time_unix_nano = span.start_time_ns,
    end_time_unix_nano = span.end_time_ns,
    attributes = span.attributes and transform_attributes(span.attributes),
    events = span.events and transform_events(span.events),
    status = span.status and { code = span.status },
  }
end

local resources = setmetatable({}, { __mode = "k" })
local NONE = {}

local function resource_of(attributes)
  attributes = attributes or NONE
  local known = resources[attributes]
  if not known then
    known = transform_attributes(tables.table_merge({
      ["service.name"] = "kong",
      ["service.instance.id"] = kong and kong.node.get_id(),
      ["service.version"] = kong and kong.version,
    }, attributes))
    resources[attributes] = known
  end
  return { attributes = known }
end

local SCOPE = { name = "kong-internal", version = "0.1.0" }

--- The bytes of an export of spans.
function M.encode_traces(spans, resource_attributes)
  return pb.encode("opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest", {
    resource_spans = {
      { resource = resource_of(resource_attributes), scope_spans = { { scope = SCOPE, spans = spans } } },
    },
  })
end

--- The bytes of an export of log records.
function M.encode_logs(batch, resource_attributes)
  return pb.encode("opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest", {
    resource_logs = {
      { resource = resource_of(resource_attributes), scope_logs = { { scope = SCOPE, log_records = batch } } },
    },
  })
end

-- OTLP's numbers of the levels.
local SEVERITIES = {
  [ngx.DEBUG] = { 5, "DEBUG" }, [ngx.INFO] = { 9, "INFO" }, [ngx.NOTICE] = { 11, "NOTICE" },
  [ngx.WARN] = { 13, "WARN" }, [ngx.ERR] = { 17, "ERR" }, [ngx.CRIT] = { 19, "CRIT" }, [ngx.ALERT] = { 21, "ALERT" },
  [ngx.EMERG] = { 23, "EMERG" },
}

--- Makes log records of what `kong.observability.logs` kept, in place.
function M.prepare_logs(logs, trace_id, flags)
  for _, log in ipairs(logs) do
    local severity = SEVERITIES[log.log_level] or NONE
    log.severity_number, log.severity_text = severity[1], severity[2]
    log.log_level = nil
    log.trace_id, log.flags = trace_id, flags
    log.attributes = transform_attributes(log.attributes)
    log.body = { string_value = log.body }
  end
  return logs
end

return M
