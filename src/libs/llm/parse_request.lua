-- `kong.llm.plugin.shared-filters.parse-request`: the filter that reads a request's body for those after it.

local ctx = require "kong.llm.plugin.ctx"
local observability = require "kong.llm.plugin.observability"

local M = {
  NAME = "parse-request",
  STAGE = "REQ_INTROSPECTION",
  DESCRIPTION = "reads the body and what the headers ask for",
}

local _, set = ctx.get_namespaced_accesors(M.NAME, {
  accept_gzip = "boolean", multipart_request = "boolean", request_body_table = "table", request_model = "table",
})
local get_global, set_global = ctx.get_global_accessors(M.NAME)

local function adapter_for(format)
  local adapter, source = get_global "llm_format_adapter"
  if not adapter then
    return require("kong.llm.adapters." .. format), true
  elseif adapter.FORMAT_ID ~= format then
    kong.log.warn("llm format changed from ", adapter.FORMAT_ID, " (", source, ") to ", format,
      ", this is not supported")
    return require("kong.llm.adapters." .. format), true
  end
  return adapter
end

function M:run(conf)
  if ngx.get_phase() == "balancer" then
    return true -- a retry
  end
  if get_global "accept_gzip" == nil then
    local accepted = kong.request.get_header "Accept-Encoding" or ""
    set_global("accept_gzip", accepted:match "%f[%a]gzip%f[%A]" ~= nil)
  end
  if ctx.has_namespace "ai-proxy-advanced-balance" then
    conf = ctx.get_namespaced_ctx("ai-proxy-advanced-balance", "selected_target") or conf
  end

  local content_type = kong.request.get_header "Content-Type" or "application/json"
  local body = kong.request.get_body(content_type, nil, conf.max_request_body_size)
  local multipart = not body and content_type:find("multipart/form-data", 1, true)
  if multipart then
    set("multipart_request", true)
  elseif not body then
    return true
  end

  local adapter
  if conf.llm_format and conf.llm_format ~= "openai" then
    local new
    adapter, new = adapter_for(conf.llm_format)
    if new then
      body = adapter:to_kong_req(body, kong)
      set_global("llm_format_adapter", adapter)
    end
  end

  local view = ctx.immutable_table(body or {})
  set("request_body_table", view)
  ctx.set_request_body_table_inuse(view, M.NAME)
  local model = multipart and "UNSPECIFIED" or body.model
  set("request_model", ctx.immutable_table({
    provider = adapter and adapter.FORMAT_ID or "UNSPECIFIED",
    name = type(model) == "string" and model or nil,
  }))
  set_global("stream_mode", body ~= nil and not not body.stream)
  observability.record_request_start()
  return true
end

return M
