-- `kong.observability.otlp.proto`: makes the messages of OTLP, traces and logs, known to `pb`: names, numbers and
-- types as the protocol (1.0) has them.

local protoc = require("protoc").new()

local head = 'syntax = "proto3"; package opentelemetry.proto.'

local function learn(name, package, text)
  protoc:load(head .. package .. "; " .. text, "opentelemetry/proto/" .. name)
end

learn("common/v1/common.proto", "common.v1", [[
  message AnyValue {
    oneof value {
      string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4;
      ArrayValue array_value = 5; KeyValueList kvlist_value = 6; bytes bytes_value = 7;
    }
  }
  message ArrayValue { repeated AnyValue values = 1; }
  message KeyValueList { repeated KeyValue values = 1; }
  message KeyValue { string key = 1; AnyValue value = 2; }
  message InstrumentationScope {
    string name = 1; string version = 2; repeated KeyValue attributes = 3; uint32 dropped_attributes_count = 4;
  }
]])

local common = 'import "opentelemetry/proto/common/v1/common.proto";'
local resource = common .. 'import "opentelemetry/proto/resource/v1/resource.proto";'

learn("resource/v1/resource.proto", "resource.v1", common .. [[
  message Resource { repeated common.v1.KeyValue attributes = 1; uint32 dropped_attributes_count = 2; }
]])

learn("trace/v1/trace.proto", "trace.v1", resource .. [[
  message TracesData { repeated ResourceSpans resource_spans = 1; }
  message ResourceSpans {
    resource.v1.Resource resource = 1; repeated ScopeSpans scope_spans = 2; string schema_url = 3;
  }
  message ScopeSpans {
    common.v1.InstrumentationScope scope = 1; repeated Span spans = 2; string schema_url = 3;
  }
  message Span {
    bytes trace_id = 1; bytes span_id = 2; string trace_state = 3; bytes parent_span_id = 4; string name = 5;
    enum SpanKind {
      SPAN_KIND_UNSPECIFIED = 0; SPAN_KIND_INTERNAL = 1; SPAN_KIND_SERVER = 2; SPAN_KIND_CLIENT = 3;
      SPAN_KIND_PRODUCER = 4; SPAN_KIND_CONSUMER = 5;
    }
    SpanKind kind = 6; fixed64 start_time_unix_nano = 7; fixed64 end_time_unix_nano = 8;
    repeated common.v1.KeyValue attributes = 9; uint32 dropped_attributes_count = 10;
    message Event {
      fixed64 time_unix_nano = 1; string name = 2; repeated common.v1.KeyValue attributes = 3;
      uint32 dropped_attributes_count = 4;
    }
    repeated Event events = 11; uint32 dropped_events_count = 12;
    message Link {
      bytes trace_id = 1; bytes span_id = 2; string trace_state = 3; repeated common.v1.KeyValue attributes = 4;
      uint32 dropped_attributes_count = 5;
    }
    repeated Link links = 13; uint32 dropped_links_count = 14; Status status = 15;
  }
  message Status {
    string message = 2;
    enum StatusCode { STATUS_CODE_UNSET = 0; STATUS_CODE_OK = 1; STATUS_CODE_ERROR = 2; }
    StatusCode code = 3;
  }
]])

local severities = { "SEVERITY_NUMBER_UNSPECIFIED = 0;" }
for at, level in ipairs { "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL" } do
  for step = 1, 4 do
    severities[#severities + 1] = ("SEVERITY_NUMBER_%s%s = %d;"):format(level, step > 1 and step or "",
      (at - 1) * 4 + step)
  end
end

learn("logs/v1/logs.proto", "logs.v1", resource .. [[
  message LogsData { repeated ResourceLogs resource_logs = 1; }
  message ResourceLogs {
    resource.v1.Resource resource = 1; repeated ScopeLogs scope_logs = 2; string schema_url = 3;
  }
  message ScopeLogs {
    common.v1.InstrumentationScope scope = 1; repeated LogRecord log_records = 2; string schema_url = 3;
  }
  enum SeverityNumber { ]] .. table.concat(severities, " ") .. [[ }
  message LogRecord {
    fixed64 time_unix_nano = 1; SeverityNumber severity_number = 2; string severity_text = 3;
    common.v1.AnyValue body = 5; repeated common.v1.KeyValue attributes = 6; uint32 dropped_attributes_count = 7;
    fixed32 flags = 8; bytes trace_id = 9; bytes span_id = 10; fixed64 observed_time_unix_nano = 11;
  }
]])

local function service(kind, of, field)
  learn(("collector/%s/v1/%s_service.proto"):format(kind, kind), ("collector.%s.v1"):format(kind),
    ('import "opentelemetry/proto/%s/v1/%s.proto"; message Export%sServiceRequest { repeated %s.v1.%s %s = 1; }')
      :format(kind, kind, kind == "trace" and "Trace" or "Logs", kind, of, field))
end

service("trace", "ResourceSpans", "resource_spans")
service("logs", "ResourceLogs", "resource_logs")

return {}
