-- `kong.observability.logs`: lines of the log kept for an exporter, those of a request with it and others with
-- the worker.

local request_id = require("kong.observability.tracing.request_id")
local time_ns = require("kong.tools.time").time_ns
local tables = require("kong.tools.table")
local levels = require("kong.constants").LOG_LEVELS
local threshold = require("resty.kong.log").get_log_level

local select, tostring, pcall, concat = select, tostring, pcall, table.concat
local getinfo = debug.getinfo
local ngx, kong = ngx, kong

-- How many lines are kept of one request, and of the worker outside requests.
local MOST = 1000
local KEY = "o11y_logs_request_scoped"

-- taken now: what is said here must not be kept
local say = ngx.log
local of_worker, full = {}, false

local M = {}

local function level()
  local ok, now = pcall(threshold)
  if ok then
    return now
  end
  local configured = kong.configuration.log_level
  say(ngx.WARN, "[observability] OpenTelemetry logs failed reading dynamic log level. Using log level: ", configured,
    " from configuration.")
  return levels[configured]
end

local function text(...)
  local words = { ... }
  for i = 1, select("#", ...) do
    local word = words[i]
    words[i] = word == ngx.null and "nil" or tostring(word)
  end
  return concat(words)
end

local function of_request()
  local ctx = ngx.ctx
  local list = ctx[KEY]
  if not list then
    list = {}
    ctx[KEY] = list
  end
  return list
end

local function attributes_of(id, info, given)
  local attributes = {
    ["request.id"] = id,
    ["introspection.current.line"] = info.currentline,
    ["introspection.name"] = info.name,
    ["introspection.namewhat"] = info.namewhat,
    ["introspection.source"] = info.source,
    ["introspection.what"] = info.what,
  }
  return given and tables.table_merge(attributes, given) or attributes
end

-- Says once that lines are dropped, and once that they are not any more.
local function note(now_full)
  if full == now_full then
    return
  end
  full = now_full
  say(ngx.NOTICE, full and "[observability] OpenTelemetry logs buffer is full: dropping new log entries."
    or "[observability] OpenTelemetry logs buffer resumed accepting log entries.")
end

--- Keeps a line, unless its level is not logged. `stack_level` is that of the call to be named; must not wait.
function M.maybe_push(stack_level, attributes, log_level, ...)
  if log_level and level() < log_level then
    return
  end
  local id = request_id.get()
  local list = id ~= nil and of_request() or of_worker
  local dropped = #list >= MOST
  note(dropped)
  if dropped then
    return
  end
  local span = id and kong and kong.tracing and kong.tracing.active_span()
  local now = time_ns()
  list[#list + 1] = {
    time_unix_nano = now,
    observed_time_unix_nano = now,
    log_level = log_level,
    body = text(...),
    attributes = attributes_of(id, getinfo(stack_level, "nSl") or {}, attributes),
    span_id = span and span.span_id or nil,
  }
end

--- The worker's lines, which are not kept any longer.
function M.get_worker_logs()
  local list = of_worker
  of_worker = {}
  return list
end

--- A copy of the request's lines.
function M.get_request_logs()
  return tables.deep_copy(of_request())
end

return M
