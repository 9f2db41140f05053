-- `kong.llm.plugin.base`: AI plugins are made of filters, each of which runs in a stage. A filter runs once in a
-- request, whoever of the plugins has it.

local ctx = require "kong.llm.plugin.ctx"

local get_global = ctx.get_global_accessors "_base"

local STAGES = {
  SETUP = 0, REQ_INTROSPECTION = 1, REQ_TRANSFORMATION = 2, REQ_POST_PROCESSING = 3, RES_INTROSPECTION = 4,
  RES_TRANSFORMATION = 5, STREAMING = 6, RES_PRE_PROCESSING = 7, RES_POST_PROCESSING = 8,
}

local M = { STAGES = STAGES }

local filters = {}

local function run(stage, plugin, conf)
  local names = plugin.filters[stage]
  if not names then
    return
  end
  local done = ngx.ctx.ai_executed_filters or {}
  for _, name in ipairs(names) do
    local filter = filters[name]
    if not filter then
      kong.log.err("no filter named '" .. name .. "' registered")
    elseif not done[name] or stage == STAGES.STREAMING then
      done[name] = true
      local ok, err = filter:run(conf)
      if not ok then
        kong.log.err("error running filter '", name, "': ", err)
        local phase = ngx.get_phase()
        if phase == "access" or phase == "header_filter" then
          return kong.response.exit(500)
        end
        return ngx.exit(500)
      end
    end
  end
end

local phases = {}

function phases.access(plugin, conf)
  ngx.ctx.ai_namespaced_ctx = ngx.ctx.ai_namespaced_ctx or {}
  ngx.ctx.ai_executed_filters = ngx.ctx.ai_executed_filters or {}
  if plugin.balancer_retry_enabled then
    kong.service.set_target_retry_callback(function()
      ngx.ctx.ai_executed_filters = {}
      run(STAGES.REQ_TRANSFORMATION, plugin, conf)
      return true
    end)
  end
  run(STAGES.REQ_INTROSPECTION, plugin, conf)
  run(STAGES.REQ_TRANSFORMATION, plugin, conf)
end

function phases.header_filter(plugin, conf)
  run(STAGES.REQ_POST_PROCESSING, plugin, conf)
  run(STAGES.RES_INTROSPECTION, plugin, conf)
  run(STAGES.RES_TRANSFORMATION, plugin, conf)
end

function phases.body_filter(plugin, conf)
  if get_global "response_body_sent" then
    return
  end
  local body, source = get_global "response_body"
  if body and not get_global "stream_mode" and source ~= ngx.ctx.ai_last_sent_response_source then
    run(STAGES.RES_PRE_PROCESSING, plugin, conf)
    assert(source, "response_body source not set")
    ngx.arg[1] = get_global "accept_gzip" and require("kong.tools.gzip").deflate_gzip(body) or body
    ngx.arg[2] = true
    ngx.ctx.ai_last_sent_response_source = source
    return
  end
  run(STAGES.STREAMING, plugin, conf)
  if ngx.arg[2] then
    run(STAGES.RES_PRE_PROCESSING, plugin, conf)
  end
end

function phases.log(plugin, conf)
  run(STAGES.RES_POST_PROCESSING, plugin, conf)
end

function phases.init_worker(plugin)
  run(STAGES.SETUP, plugin)
end

function phases.configure(plugin, configs)
  run(STAGES.SETUP, plugin, configs)
end

-- A phase is there when a filter has one of its stages.
local NEEDS = {
  init_worker = { "SETUP" },
  configure = { "SETUP" },
  access = { "REQ_INTROSPECTION", "REQ_TRANSFORMATION" },
  header_filter = { "REQ_POST_PROCESSING", "RES_INTROSPECTION", "RES_TRANSFORMATION" },
  body_filter = { "STREAMING" },
  log = { "RES_POST_PROCESSING" },
}

--- A plugin without filters yet.
function M.define(name, priority)
  return setmetatable({ name = name, priority = priority, filters = {}, balancer_retry_enabled = false },
    { __index = M })
end

--- Makes a filter known: a table with NAME, STAGE and `run(self, conf)`.
function M.register_filter(filter)
  if not filter or type(filter.run) ~= "function" then
    error("expected a filter with a 'run' method", 2)
  elseif not filter.STAGE then
    error("expected a filter with a 'STAGE' property", 2)
  elseif not STAGES[filter.STAGE] then
    error("unknown stage: " .. filter.STAGE, 2)
  elseif not filter.NAME then
    error("expected a filter with a 'NAME' property", 2)
  end
  filters[filter.NAME] = filters[filter.NAME] or filter
  return filters[filter.NAME]
end

--- Whether a filter has run in this request.
function M.has_filter_executed(name)
  return ngx.ctx.ai_executed_filters and ngx.ctx.ai_executed_filters[name]
end

--- Adds a registered filter to the plugin.
function M:enable(filter)
  if type(filter) ~= "table" or not filter.NAME then
    error("expected a filter table with a 'NAME' property", 2)
  elseif not filters[filter.NAME] then
    error("unregistered filter: " .. filter.NAME, 2)
  end
  local stage = STAGES[filter.STAGE]
  self.filters[stage] = self.filters[stage] or {}
  table.insert(self.filters[stage], filter.NAME)
end

function M:enable_balancer_retry()
  self.balancer_retry_enabled = true
end

--- The plugin's handler.
function M:as_kong_plugin()
  local handler = { PRIORITY = self.priority, VERSION = require("kong.meta").version }
  for phase, stages in pairs(NEEDS) do
    for _, stage in ipairs(stages) do
      if self.filters[STAGES[stage]] then
        handler[phase] = function(_, conf)
          return phases[phase](self, conf)
        end
      end
    end
  end
  return handler
end

return M
