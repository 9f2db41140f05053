-- `kong.observability.tracing.propagation.schema`: how a tracing plugin takes over a trace and hands it on.

local Schema = require "kong.db.schema"
local validate_header_name = require("kong.tools.http").validate_header_name

-- "b3" reads both headers of Zipkin's, the single one and the many; so only writing tells them apart.
local read = { "aws", "b3", "datadog", "gcp", "instana", "jaeger", "ot", "w3c" }
local written = { "aws", "b3", "b3-single", "datadog", "gcp", "instana", "jaeger", "ot", "w3c" }
local injected = { "preserve", unpack(written) }

return Schema.define {
  type = "record",
  fields = {
    {
      extract = {
        type = "array",
        elements = { type = "string", one_of = read },
        description = "Formats to look for in a request, in this order; none: each request begins a trace.",
      },
    },
    {
      clear = {
        type = "array",
        elements = { type = "string", custom_validator = validate_header_name },
        description = "Headers that are not handed on once the trace was read.",
      },
    },
    {
      inject = {
        type = "array",
        elements = { type = "string", one_of = injected },
        description = "Formats to hand the trace on in; `preserve` is the one it came in.",
      },
    },
    {
      default_format = {
        type = "string",
        one_of = written,
        required = true,
        description = "What `preserve` means when no trace came in.",
      },
    },
  },
}
