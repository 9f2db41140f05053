-- `kong.observability.tracing.propagation.schema`: how plugins configure the propagation of tracing headers.

local Schema = require "kong.db.schema"
local formats = require("kong.observability.tracing.propagation.utils").FORMATS
local validate_header_name = require("kong.tools.http").validate_header_name

local injectors, extractors = {}, {}
for _, format in pairs(formats) do
  injectors[#injectors + 1] = format
  -- one extractor reads both forms of b3
  if format ~= formats.B3_SINGLE then
    extractors[#extractors + 1] = format
  end
end
table.sort(injectors)
table.sort(extractors)

local function list(elements, description)
  elements.type = "string"
  return { type = "array", elements = elements, description = description }
end

return Schema.define {
  type = "record",
  fields = {
    { extract = list({ one_of = extractors }, "Formats in which a request's tracing context is looked for; the "
      .. "first one found is taken. Without any, each request begins a trace of its own.") },
    { clear = list({ custom_validator = validate_header_name }, "Headers taken off the request once the context "
      .. "was read, where the upstream is to get it in another format.") },
    { inject = list({ one_of = { "preserve", unpack(injectors) } }, "Formats in which the context goes upstream; "
      .. "`preserve` is the one it came in. Without any, none goes.") },
    { default_format = {
      type = "string",
      one_of = injectors,
      required = true,
      description = "The format where `inject` has `preserve` and the request came with none.",
    } },
  },
}
