-- `kong.observability.tracing.propagation`: takes the trace from a request's headers, and gives it to the upstream.

local context = require("kong.observability.tracing.tracing_context")
local FORMATS = require("kong.observability.tracing.propagation.utils").FORMATS

local type, next, pairs, ipairs, setmetatable, require = type, next, pairs, ipairs, setmetatable, require
local null = ngx.null

local PATH = "kong.observability.tracing.propagation."

local function is_set(value)
  return value ~= nil and value ~= null
end

-- Where headers were looked for, and in which order, before there was `propagation`.
local function every_format()
  return {
    FORMATS.B3, FORMATS.W3C, FORMATS.JAEGER, FORMATS.OT, FORMATS.DATADOG, FORMATS.AWS, FORMATS.GCP, FORMATS.INSTANA,
  }
end

local M = {}

--- A plugin's parameters; those of older configurations (header_type, default_header_type) in today's places.
function M.get_plugin_params(config)
  local params = config.propagation or {}
  for key, value in pairs(params) do
    if key ~= "default_format" and is_set(value) then
      return params
    end
  end
  if is_set(config.default_header_type) then
    params.default_format = config.default_header_type
  end
  local kind = config.header_type
  if not is_set(kind) then
    return params
  elseif kind == "ignore" then
    params.inject = { params.default_format }
    return params
  end
  params.extract = every_format()
  params.inject = kind == "preserve" and { "preserve" } or { "preserve", kind }
  return params
end

--- What the first of the formats says whose headers are there.
function M.extract(conf)
  local found = {}
  if not conf.extract then
    return found
  end
  local headers = ngx.req.get_headers()
  for _, format in ipairs(conf.extract) do
    found = require(PATH .. "extractors." .. format):extract(headers)
    if type(found) == "table" and next(found) ~= nil then
      kong.ctx.plugin.extracted_from = format
      break
    end
  end
  return found
end

--- Takes headers away that are not for the upstream.
function M.clear(conf)
  for _, name in ipairs(conf.clear or {}) do
    kong.service.request.clear_header(name)
  end
end

-- The format that "preserve" stands for: the request's own.
local function preserved(conf, inject)
  local format = kong.ctx.plugin.extracted_from or conf.default_format or FORMATS.W3C
  if format == FORMATS.B3 and inject.single_header then
    return FORMATS.B3_SINGLE
  end
  return format
end

--- Sets the headers: the trace's id in all its formats, or nil and the errors.
function M.inject(conf, inject)
  if not conf.inject then
    return
  end
  local errors, formats = {}
  for _, format in ipairs(conf.inject) do
    if format == "preserve" then
      format = preserved(conf, inject)
    end
    -- an injector fits the ids to its format: each has a table of its own
    local mine = setmetatable({}, { __index = inject })
    local id, err = require(PATH .. "injectors." .. format):inject(mine)
    if id then
      formats = context.add_trace_id_formats(id)
    else
      errors[#errors + 1] = err
    end
  end
  if #errors > 0 then
    return nil, table.concat(errors, ", ")
  end
  return formats
end

--- Extracts, asks `get_inject_ctx(extracted, ...)` what to say, clears and injects.
function M.propagate(conf, get_inject_ctx, ...)
  local extracted, err = M.extract(conf)
  if err then
    kong.log.err("failed to extract tracing context: ", err)
  end
  extracted = extracted or {}
  local inject = extracted
  if get_inject_ctx then
    inject = get_inject_ctx(extracted, ...)
  end
  M.clear(conf)
  local formats, inject_err = M.inject(conf, inject)
  if formats then
    kong.log.set_serialize_value("trace_id", formats)
  elseif inject_err then
    kong.log.err(inject_err)
  end
end

return M
