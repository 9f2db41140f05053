-- `kong.observability.tracing.instrumentation`: the spans that the gateway itself makes of a request. Which there
-- are, `tracing_instrumentations` says; what is off is an empty function, and with all off none is called.

local base = require("kong.pdk.tracing").new()
local context = require("kong.observability.tracing.tracing_context")
local request_id = require("kong.observability.tracing.request_id")
local pool = require("tablepool")
local splitn = require("kong.tools.string").splitn
local time_ns = require("kong.tools.time").time_ns

local type, pairs, ipairs, next, assert, tonumber = type, pairs, ipairs, next, assert, tonumber
local pcall, error, setmetatable = pcall, error, setmetatable

local M = {}
local tracer = base

-- Kinds of spans.
local SERVER, CLIENT = 2, 3
local FAILED = 2

local function nothing() end

-- === what can be chosen ===

--- A query of the database is a span.
function M.db_query(connector)
  local query = connector.query
  if type(query) ~= "function" then
    return
  end
  local function finish(span, ...)
    span:finish()
    return ...
  end
  function connector.query(self, sql, ...)
    local span = tracer.start_span("kong.database.query")
    span:set_attribute("db.system", kong.db and kong.db.strategy)
    span:set_attribute("db.statement", sql)
    tracer.set_active_span(span)
    return finish(span, query(self, sql, ...))
  end
end

--- The span of finding the route, begun `start` nanoseconds after 1970 or now.
function M.router(start)
  local span = tracer.start_span("kong.router", start and { start_time_ns = start } or nil)
  tracer.set_active_span(span)
  return span
end

--- A span without a place among the request's.
function M.create_span(...)
  return tracer.create_span(...)
end

local function describe(span, try, data)
  if try.state then
    span:set_attribute("http.status_code", try.code)
    span:set_status(FAILED)
  end
  if data.hostname ~= nil then
    span:set_attribute("net.peer.name", data.hostname)
  end
end

--- A span for each try of an upstream: choosing it, looking its name up, connecting; the last one until the end.
function M.balancer(ctx)
  local data = ctx.balancer_data
  if not data then
    return
  end
  local connects = splitn(ngx.var.upstream_connect_time or "", ", ")
  local last = context.get_unlinked_span("balancer", ctx)
  if last and last.linked then
    last = nil
  end
  for i = 1, data.try_count do
    local try = data.tries[i]
    local options = {
      span_kind = CLIENT,
      start_time_ns = try.balancer_start_ns,
      attributes = { ["try_count"] = i, ["net.peer.ip"] = try.ip, ["net.peer.port"] = try.port },
    }
    if i < data.try_count or try.state ~= nil or not last then
      local span = tracer.start_span("kong.balancer", options)
      describe(span, try, data)
      if try.balancer_latency_ns ~= nil then
        local connect_ms = (tonumber(connects[i], 10) or 0) * 1000
        span:finish(try.balancer_start_ns + try.balancer_latency_ns + connect_ms * 1e6)
      else
        span:finish()
      end
    else
      -- made before access: plugins have told its id to the upstream
      tracer.set_active_span(last)
      tracer.link_span(tracer, last, "kong.balancer", options)
      describe(last, try, data)
      last:finish(ctx.KONG_BODY_FILTER_ENDED_AT_NS)
    end
  end
end

local function plugin_spans(phase)
  local names = {}
  return function(plugin)
    local name = names[plugin.name]
    if not name then
      name = "kong." .. phase .. ".plugin." .. plugin.name
      names[plugin.name] = name
    end
    local span = tracer.start_span(name)
    tracer.set_active_span(span)
    return span
  end
end

M.plugin_rewrite = plugin_spans("rewrite")
M.plugin_access = plugin_spans("access")
M.plugin_header_filter = plugin_spans("header_filter")

local function client_attributes(http, client, uri, params)
  local headers = params and params.headers
  local proxy = client.proxy_opts and (client.proxy_opts.https_proxy or client.proxy_opts.http_proxy)
  return {
    ["http.url"] = uri,
    ["http.method"] = params and params.method or "GET",
    ["http.flavor"] = params and params.version or "1.1",
    ["http.user_agent"] = headers and headers["User-Agent"] or http._USER_AGENT,
    ["http.proxy"] = proxy or nil,
  }
end

--- `request_uri` of resty.http is a span.
function M.http_client()
  local http = require("resty.http")
  local request_uri = http.request_uri
  function http.request_uri(self, uri, params)
    local span = tracer.start_span("kong.internal.request", {
      span_kind = CLIENT,
      attributes = client_attributes(http, self, uri, params),
    })
    local res, err = request_uri(self, uri, params)
    if res then
      span:set_attribute("http.status_code", res.status)
    else
      span:record_error(err)
    end
    span:finish()
    return res, err
  end
end

local types = {}
for name in pairs(M) do
  types[name] = true
end
types.dns_query = true
M.available_types = types

-- === what comes with any of them ===

--- The root: begins with the request.
function M.request(ctx)
  local var = ngx.var
  local host, scheme = var.host, ctx.scheme or var.scheme
  local flavor = ngx.req.http_version()
  local root = tracer.start_span("kong", {
    span_kind = SERVER,
    start_time_ns = ctx.KONG_PROCESSING_START and ctx.KONG_PROCESSING_START * 1e6 or time_ns(),
    attributes = {
      ["http.method"] = ngx.req.get_method(),
      ["http.url"] = scheme .. "://" .. (host or "") .. (ctx.request_uri or var.request_uri or ""),
      ["http.host"] = host,
      ["http.scheme"] = scheme,
      ["http.flavor"] = type(flavor) == "number" and ("%.1f"):format(flavor) or flavor,
      ["http.client_ip"] = kong.client.get_forwarded_ip(),
      ["net.peer.ip"] = kong.client.get_ip(),
      ["kong.request.id"] = request_id.get(),
    },
  })
  context.set_raw_trace_id(root.trace_id, ctx)
  tracer.set_active_span(root)
end

--- Makes the span of the last try before there is one, so that its id can be told to the upstream.
function M.precreate_balancer_span(ctx)
  if M.balancer == nothing then
    return
  end
  local root = ctx.KONG_SPANS and ctx.KONG_SPANS[1]
  context.set_unlinked_span("balancer", tracer.create_span(nil, { span_kind = CLIENT, parent = root }), ctx)
end

local lookup

local function traced_lookup(host, port, ...)
  if M.dns_query == nothing or tracer == base then
    return lookup(host, port, ...)
  end
  local span = tracer.start_span("kong.dns", { span_kind = CLIENT })
  tracer.set_active_span(span)
  local ip, res_port, tries = lookup(host, port, ...)
  span:set_attribute("dns.record.domain", host)
  span:set_attribute("dns.record.port", port)
  if ip then
    span:set_attribute("dns.record.ip", ip)
  else
    span:record_error(res_port)
    span:set_status(FAILED)
  end
  span:finish()
  return ip, res_port, tries
end

--- `f(host, port, ...)`, which looks a name up, as a function that makes a span of it.
function M.get_wrapped_dns_query(f)
  lookup = f
  return traced_lookup
end

function M.runloop_before_header_filter()
  local ctx = ngx.ctx
  local root = ctx.KONG_SPANS and ctx.KONG_SPANS[1]
  if root then
    local route = ctx.route
    root:set_attribute("http.status_code", ngx.status)
    root:set_attribute("http.route", route and route.paths and route.paths[1] or "")
  end
end

-- The proxy looks names up outside Lua: how long that took is how long choosing where to try took.
local function balancer_lookups(ctx)
  local data = ctx.balancer_data
  local name = data and data.hostname
  if type(name) ~= "string" or name:find("^[%d.]+$") or name:find(":", 1, true) then
    return
  end
  for i = 1, data.try_count do
    local try = data.tries[i]
    if try.balancer_start_ns and try.balancer_latency_ns then
      local span = tracer.start_span("kong.dns", {
        span_kind = CLIENT,
        start_time_ns = try.balancer_start_ns,
        attributes = {
          ["dns.record.domain"] = name, ["dns.record.port"] = try.port, ["dns.record.ip"] = try.ip,
        },
      })
      span:finish(try.balancer_start_ns + try.balancer_latency_ns)
    end
  end
end

function M.runloop_log_before(ctx)
  if M.dns_query ~= nothing then
    balancer_lookups(ctx)
  end
  M.balancer(ctx)
  local active = tracer.active_span()
  if active and type(active.finish) == "function" then
    active:finish(ctx.KONG_BODY_FILTER_ENDED_AT_NS)
  end
end

-- The line that lists the spans, written only where it is logged.
local listed = {
  __tostring = function(spans)
    local encode = require("cjson").encode
    local lines = {}
    for i, span in ipairs(spans) do
      local line = ("\nSpan #%d name=%s"):format(i, span.name)
      if span.end_time_ns then
        line = line .. (" duration=%fms"):format((span.end_time_ns - span.start_time_ns) / 1e6)
      end
      if span.attributes then
        line = line .. " attributes=" .. encode(span.attributes)
      end
      lines[i] = line
    end
    return table.concat(lines)
  end,
}

--- Gives the request's spans back to the pool.
function M.runloop_log_after(ctx)
  local spans = ctx.KONG_SPANS
  if type(spans) ~= "table" then
    return
  end
  ngx.log(ngx.DEBUG, "[tracing] collected ", #spans, " spans: ", setmetatable(spans, listed))
  for i = 1, #spans do
    local span = spans[i]
    if type(span) == "table" and type(span.release) == "function" then
      span:release()
    end
  end
  ctx.KONG_SPANS = nil
  pool.release("KONG_SPAN_STORAGE", spans)
end

-- === the phases, as the plugin loop calls them ===

local slots = require("moongate.scope")

-- A plugin's exit ends its coroutine, so its span is ended by whatever comes next.
local function finish_open(tables)
  local open = tables.open_span
  if open then
    tables.open_span = nil
    open:finish()
  end
end

--- Before the first plugin of a phase.
M.before = {
  rewrite = function()
    M.request(ngx.ctx)
  end,
  access = function(tables)
    finish_open(tables)
    local ctx = ngx.ctx
    local span = M.router(tables.router_start)
    M.precreate_balancer_span(ctx)
    tables.router_start = nil
    if span then
      span:finish()
    end
  end,
  header_filter = function(tables)
    finish_open(tables)
    if tables.router_start and not ngx.ctx.route then
      -- no route was found
      local span = M.router(tables.router_start)
      tables.router_start = nil
      if span then
        span:set_status(FAILED)
        span:finish()
      end
    end
    M.runloop_before_header_filter()
  end,
  log = function(tables)
    if not tables.log_begun then -- the loop goes on after a handler that failed
      tables.log_begun = true
      finish_open(tables)
      M.runloop_log_before(ngx.ctx)
    end
  end,
}

--- After the last one. What exits in rewrite does not come here: it is not routed.
M.after = {
  rewrite = function(tables)
    tables.router_start = time_ns()
  end,
  log = function()
    M.runloop_log_after(ngx.ctx)
  end,
}

--- Calls a handler within its span.
local function within(span_of, tables, handler, field, plugin, conf)
  local span = span_of(plugin)
  tables.open_span = span
  local ok, err = pcall(handler[field], handler, conf)
  tables.open_span = nil
  if not ok then
    span:record_error(err)
    span:set_status(FAILED)
    span:finish()
    error(err, 0)
  end
  span:finish()
end

--- How a phase calls handlers, if it makes spans of them.
function M.caller(field)
  local span_of = M["plugin_" .. field]
  if not span_of or span_of == nothing then
    return nil
  end
  return function(handler, plugin, conf)
    return within(span_of, slots.tables(), handler, field, plugin, conf)
  end
end

--- Turns on what the configuration names. Without any, all are empty.
function M.init(config)
  local chosen, rate = config.tracing_instrumentations, config.tracing_sampling_rate
  assert(type(chosen) == "table" and next(chosen))
  assert(rate >= 0 and rate <= 1)
  local on = chosen[1] ~= "off"
  if not on then
    M.request = nothing
  end
  if chosen[1] ~= "all" then
    local wanted = {}
    for _, name in ipairs(chosen) do
      wanted[name] = on
    end
    for name in pairs(types) do
      if not wanted[name] then
        M[name] = nothing
      end
    end
  end
  if on then
    tracer = base.new("instrument", { sampling_rate = rate })
    tracer.set_global_tracer(tracer)
  end
end

--- What the gateway does at the start of a worker: true if there is anything to trace.
function M.start()
  local config = kong.configuration
  local chosen = config.tracing_instrumentations
  if type(chosen) ~= "table" or chosen[1] == nil or chosen[1] == "off" then
    return false
  end
  M.init(config)
  if M.dns_query ~= nothing and kong.dns then
    kong.dns.toip = M.get_wrapped_dns_query(kong.dns.toip)
  end
  M.http_client() -- empty, if it was not chosen
  if kong.db and kong.db.connector then
    M.db_query(kong.db.connector)
  end
  return true
end

return M
