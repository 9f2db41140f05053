-- `kong.observability.tracing.tracing_context`: what a request knows of the trace it belongs to.

local next, pairs = next, pairs

local function context(ctx)
  ctx = ctx or ngx.ctx
  local known = ctx.TRACING_CONTEXT
  if not known then
    -- `formatted`: the id as each format writes it; `unlinked_spans`: spans that have an id and no data yet
    known = { trace_id = { formatted = {} }, unlinked_spans = {} }
    ctx.TRACING_CONTEXT = known
  end
  return known
end

local M = {}

--- Adds ways to write the trace's id; answers all there are.
function M.add_trace_id_formats(formats, ctx)
  local id = context(ctx).trace_id
  if next(id.formatted) == nil then
    id.formatted = formats
  else
    for format, value in pairs(formats) do
      id.formatted[format] = value
    end
  end
  return id.formatted
end

function M.get_raw_trace_id(ctx)
  return context(ctx).trace_id.raw
end

function M.set_raw_trace_id(trace_id, ctx)
  context(ctx).trace_id.raw = trace_id
end

function M.get_flags(ctx)
  return context(ctx).flags
end

function M.set_flags(flags, ctx)
  context(ctx).flags = flags
end

function M.get_unlinked_span(name, ctx)
  return context(ctx).unlinked_spans[name]
end

function M.set_unlinked_span(name, span, ctx)
  context(ctx).unlinked_spans[name] = span
end

return M
