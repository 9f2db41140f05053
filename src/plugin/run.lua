-- The plugin loop: one function per phase, entered once per phase and request; which plugin comes next and
-- with which configuration is Rust's to say. Configurations become tables lazily and keep their identity.

local ops = require("moongate.ops").plugin
local op_next, load_conf = ops.next, ops.conf
local native = require "moongate.native"
local c_next, reply = native.plugin.next, native.reply
local running, slots = require "moongate.running", require "moongate.slots"
local client = require("moongate.ops")["kong.client"]
local set_consumer = client and client.set_consumer

local plugins, handlers, confs = {}, {}, {}
package.loaded["moongate.plugins"] = plugins

-- Of configurations with vault references, the fields they go to: nil as long as there is none of these.
local referring

local function keep_references(c, conf)
  local places = require("moongate.vault.refs").places(conf)
  if places then
    referring = referring or {}
    referring[c] = places
  end
end

-- a list knows it is one, a set answers membership: what the schema says of the table
local judged
local function make_conf(p, c)
  judged = judged or require("moongate.schema.plugin")
  local name = plugins[p].name
  local conf, refers = load_conf(c)
  if refers then
    conf = require("moongate.plugin.references").resolve(name, conf)
    if confs[c] then
      return confs[c] -- a vault was waited for, and another was faster
    end
  end
  conf = judged.conf(name, conf)
  confs[c] = conf
  if refers then
    keep_references(c, conf)
  end
  return conf
end

-- Secrets change; a configuration made of them follows with each request.
local function update(places)
  if places then
    kong.vault._update_places(places)
  end
end

-- After an access handler: a consumer that it wrote into ngx.ctx itself, for whom configurations apply from then on.
-- True if it left its answer there (`delayed_response`), as Kong's loop takes it: then no other handler runs.
local function look_after()
  local tables = slots[running[1]]
  local ctx = tables and tables.ctx
  if not ctx then
    return false
  end
  local consumer = rawget(ctx, "authenticated_consumer")
  if consumer ~= nil and consumer ~= tables.consumer and set_consumer then
    tables.consumer = consumer
    set_consumer(type(consumer) == "table" and consumer.id or nil)
  end
  return rawget(ctx, "delayed_response") and true or false
end

-- Answers with what a handler left: by its own callback, else as an error.
local function answer()
  running[3] = false
  local ctx = slots[running[1]].ctx
  ctx.delay_response = false
  local callback = ctx.delayed_response_callback
  if type(callback) == "function" then
    callback(ctx)
    return
  end
  local left = ctx.delayed_response
  local content = left.content
  kong.response.error(left.status_code, content and content.message or content, left.headers)
end

-- Which plugin comes next, and the number of its configuration; nil behind the last.
local function next_plugin()
  local p = c_next(nil, 0, nil, 0, reply, 0, 0, 0, 0)
  if p >= 0 then
    return p, reply.number
  elseif p ~= -1 then
    return op_next()
  end
end

-- The next plugin that runs and its configuration, for which it runs now; nil after the last.
local function advance()
  local p, c = next_plugin()
  if not p then
    return nil
  end
  local conf = confs[c]
  if conf == nil then
    conf = make_conf(p, c)
  elseif referring then
    update(referring[c])
  end
  running[3] = p
  return p, conf
end

local function runner(field)
  local access = field == "access"
  return function()
    local p, conf = advance()
    while p do
      local handler = handlers[p]
      handler[field](handler, conf)
      if access and look_after() then
        return answer()
      end
      p, conf = advance()
    end
  end
end

local M = { plugins = plugins }

-- The same with the gateway's own spans around it (tracing_instrumentations).
local function traced_runner(field, tracing)
  local before, after, call = tracing.before[field], tracing.after[field], tracing.caller(field)
  local tables = require("moongate.scope").tables
  local access = field == "access"
  return function()
    running[3] = false
    if before then
      before(tables())
    end
    local p, conf = advance()
    while p do
      local handler = handlers[p]
      if call then
        call(handler, plugins[p], conf)
      else
        handler[field](handler, conf)
      end
      if access and look_after() then
        return answer()
      end
      p, conf = advance()
    end
    running[3] = false
    if after then
      after(tables())
    end
  end
end

local chosen = kong.configuration.tracing_instrumentations
-- Whether spans are made: rewrite, access, header_filter and log are run for those alone, too.
M.traced = false
if type(chosen) == "table" and chosen[1] ~= nil and chosen[1] ~= "off" then
  local tracing = require("kong.observability.tracing.instrumentation")
  M.traced = tracing.start()
  for _, field in ipairs({ "rewrite", "access", "header_filter", "log" }) do
    M[field] = traced_runner(field, tracing)
  end
end

for _, field in ipairs({
  "client_hello", "certificate", "rewrite", "access", "response", "header_filter", "body_filter", "log",
}) do
  M[field] = M[field] or runner(field)
end

local PHASES = {
  "init_worker", "configure", "client_hello", "certificate", "rewrite", "access", "response", "header_filter",
  "body_filter", "log",
}

local function callable(v)
  local mt = type(v) == "table" and getmetatable(v)
  return type(v) == "function" or (mt and mt.__call ~= nil)
end

-- Loads one handler: its table, PRIORITY, VERSION, the phases it handles and its no_* fields.
function M.load(name)
  local handler = require("kong.plugins." .. name .. ".handler")
  if type(handler) ~= "table" then
    error("plugin '" .. name .. "': handler.lua must return a table, got " .. type(handler), 0)
  end
  local mt = getmetatable(handler)
  if callable(handler) and mt and mt.__call and type(handler.new) == "function" then
    handler = handler() -- a BasePlugin:extend() class
  end
  local phases = {}
  for _, phase in ipairs(PHASES) do
    local f = handler[phase]
    if f ~= nil and type(f) ~= "function" then
      error("plugin '" .. name .. "': handler." .. phase .. " must be a function, got " .. type(f), 0)
    end
    phases[phase] = f ~= nil
  end
  -- BasePlugin defines every phase; only what the class itself adds counts
  local base = package.loaded["kong.plugins.base_plugin"]
  if type(base) == "table" then
    for _, phase in ipairs(PHASES) do
      if phases[phase] and handler[phase] == base[phase] then
        phases[phase] = false
      end
    end
  end
  local priority = handler.PRIORITY
  if priority ~= nil and type(priority) ~= "number" then
    error("plugin '" .. name .. "': PRIORITY must be a number", 0)
  end
  return handler, priority or 0, handler.VERSION, phases,
    handler.no_route and true or false, handler.no_service and true or false, handler.no_consumer and true or false
end

function M.place(index, name, handler)
  handlers[index] = handler
  plugins[index] = { name = name, handler = handler }
end

function M.call(index, phase, arg)
  local handler = handlers[index]
  return handler[phase](handler, arg)
end

-- Lets go of the configuration tables that came before number `base`.
function M.forget(base)
  for c in pairs(confs) do
    if c < base then
      confs[c] = nil
      if referring then
        referring[c] = nil
      end
    end
  end
end

--- Before the first request with a configuration: secrets are got where a vault can be waited for, in a
--- timer, and from now on rotated. `list` is plugin, configuration, plugin, configuration, ...
function M.warm(list)
  kong.vault.init_worker()
  kong.vault.flush()
  for i = 1, #list, 2 do
    local p, c = list[i], list[i + 1]
    if confs[c] == nil then
      local ok, err = pcall(make_conf, p, c)
      if not ok then
        ngx.log(ngx.ERR, "[kong] [", plugins[p].name, "] could not resolve references: ", err)
      end
    end
  end
end

-- Before the plugins are configured anew: what their `configure` turns on is off.
function M.unconfigure()
  require("kong.dynamic_hook").disable_by_default("observability_logs")
end

-- configure(configs): every configuration of a plugin, or nil when there is none
function M.configure(index, list)
  local configs
  if #list > 0 then
    configs = {}
    for i, c in ipairs(list) do
      configs[i] = confs[c] or make_conf(index, c)
    end
  end
  return M.call(index, "configure", configs)
end

return M
