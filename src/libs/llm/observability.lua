-- `kong.llm.plugin.observability`: what is measured of a request to a model.

local M = { NAMESPACE = "proxy" }

local known = {
  llm_tpot_latency = true, llm_e2e_latency = true, llm_prompt_tokens_count = true,
  llm_completion_tokens_count = true, llm_total_tokens_count = true, llm_usage_cost = true,
}

local function values(key)
  if not known[key] then
    error("metrics key not registered: " .. key, 3)
  end
  local metrics = ngx.ctx.ai_llm_metrics
  if not metrics then
    metrics = {}
    ngx.ctx.ai_llm_metrics = metrics
  end
  return metrics
end

--- Makes a name known.
function M.metrics_register(key)
  if known[key] then
    error("key already registered: " .. key, 2)
  end
  known[key] = true
  return true
end

function M.metrics_set(key, value)
  values(key)[key] = value
  return value
end

function M.metrics_add(key, increment)
  local metrics = values(key)
  metrics[key] = (metrics[key] or 0) + increment
  return metrics[key]
end

-- What follows from others when it was not set itself.
local derived = {
  llm_tpot_latency = function()
    local tokens = M.metrics_get "llm_completion_tokens_count"
    return tokens > 0 and M.metrics_get "llm_e2e_latency" / tokens or 0
  end,
  llm_total_tokens_count = function()
    return M.metrics_get "llm_prompt_tokens_count" + M.metrics_get "llm_completion_tokens_count"
  end,
}

function M.metrics_get(key)
  local value = values(key)[key]
  if not value and derived[key] then
    return derived[key]()
  end
  return value or 0
end

--- Notes when the request began, once.
function M.record_request_start()
  if not ngx.ctx.ai_llm_request_start_time then
    ngx.update_time()
    ngx.ctx.ai_llm_request_start_time = ngx.now()
  end
  return true
end

--- The seconds since then, also kept as a metric in milliseconds.
function M.record_request_end()
  local start = ngx.ctx.ai_llm_request_start_time
  if not start then
    return 0
  end
  ngx.update_time()
  local latency = ngx.now() - start
  M.metrics_set("llm_e2e_latency", math.floor(latency * 1000))
  return latency
end

return M
