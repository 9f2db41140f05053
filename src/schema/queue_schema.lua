-- `kong.tools.queue_schema`: how a plugin's queue is configured.

local Schema = require "kong.db.schema"

local function field(name, kind, default, rules)
  rules = rules or {}
  rules.type, rules.default = kind, default
  return { [name] = rules }
end

return Schema.define {
  type = "record",
  fields = {
    field("max_batch_size", "integer", 1, { between = { 1, 1000000 } }),
    field("max_coalescing_delay", "number", 1, { between = { 0, 3600 } }),
    field("max_entries", "integer", 10000, { between = { 1, 1000000 } }),
    field("max_bytes", "integer"),
    field("max_retry_time", "number", 60),
    field("initial_retry_delay", "number", 0.01, { between = { 0.001, 1000000 } }),
    field("max_retry_delay", "number", 60, { between = { 0.001, 1000000 } }),
    field("concurrency_limit", "integer", 1, { one_of = { -1, 1 } }),
  },
}
