-- `kong.llm.plugin.ctx`: what the filters of AI plugins leave for each other in the request's context. Names are
-- registered with their types, in a namespace per filter.

local M = {}

local registered = {
  _global = {
    accept_gzip = "boolean", stream_mode = "boolean", request_body_table = "table", response_body = "string",
    sse_body_buffer = "userdata", response_body_sent = "boolean", llm_format_adapter = "table",
    preserve_mode = "boolean",
  },
}

local function kind_of(namespace, key)
  local names = registered[namespace]
  local kind = names and names[key]
  if not kind then
    error("key not registered in namespace: " .. namespace .. " key: " .. key, 3)
  end
  return kind
end

local function in_ctx(name)
  local t = ngx.ctx[name]
  if not t then
    t = {}
    ngx.ctx[name] = t
  end
  return t
end

--- Sets a registered value.
function M.set_namespaced_ctx(namespace, key, value)
  local kind = kind_of(namespace, key)
  if type(value) ~= kind then
    error("value type mismatch in namespace: " .. namespace .. " key: " .. key .. ", expecting " .. kind
      .. ", got " .. type(value), 2)
  end
  local all = in_ctx "ai_namespaced_ctx"
  all[namespace] = all[namespace] or {}
  all[namespace][key] = value
  return true
end

--- A registered value, if it was set.
function M.get_namespaced_ctx(namespace, key)
  kind_of(namespace, key)
  local all = ngx.ctx.ai_namespaced_ctx
  local values = all and all[namespace]
  return values and values[key]
end

function M.clear_namespaced_ctx(namespace)
  local all = ngx.ctx.ai_namespaced_ctx
  if not all then
    return nil
  end
  all[namespace] = nil
  return true
end

--- Registers a namespace: a getter and a setter for it.
function M.get_namespaced_accesors(namespace, types)
  if registered[namespace] then
    error("namespace already registered: " .. namespace, 2)
  end
  registered[namespace] = types
  return function(key)
    return M.get_namespaced_ctx(namespace, key)
  end, function(key, value)
    return M.set_namespaced_ctx(namespace, key, value)
  end
end

--- A getter and a setter for what all share; the getter also tells who set it.
function M.get_global_accessors(source)
  assert(source, "source is missing")
  return function(key)
    local sources = in_ctx "ai_namespaced_ctx_global_source"
    local value = M.get_namespaced_ctx("_global", key)
    if not value then
      return nil, nil
    end
    return value, sources[key]
  end, function(key, value)
    M.set_namespaced_ctx("_global", key, value)
    in_ctx("ai_namespaced_ctx_global_source")[key] = source
    return true
  end
end

function M.has_namespace(namespace)
  return registered[namespace] ~= nil
end

--- A view that cannot be written to.
function M.immutable_table(t)
  return t and setmetatable({}, {
    __index = t,
    __newindex = function(_, _, value)
      if value then
        error("Attempt to modify or add keys to an immutable table", 2)
      end
    end,
    __pairs = function() return next, t, nil end,
  })
end

local NO_REQUEST = M.immutable_table({})
local NO_MODEL = M.immutable_table({ name = "UNSPECIFIED", provider = "UNSPECIFIED" })

--- Makes a table the request's body from here on; what a view shows goes into it.
function M.set_request_body_table_inuse(t, source)
  assert(source, "source is missing")
  local mt = getmetatable(t)
  setmetatable(t, nil)
  for key, value in pairs(mt and mt.__index or {}) do
    if not t[key] then
      t[key] = value
    end
  end
  M.set_namespaced_ctx("_global", "request_body_table", t)
  ngx.ctx.ai_request_body_table_source = source
end

--- The request's body as it is now, and who made it.
function M.get_request_body_table_inuse()
  local t = M.get_namespaced_ctx("_global", "request_body_table")
  if not t then
    return NO_REQUEST, "none"
  end
  return M.immutable_table(t), ngx.ctx.ai_request_body_table_source
end

--- The model asked for.
function M.get_request_model_table_inuse()
  local model = M.has_namespace "normalize-request" and M.get_namespaced_ctx("normalize-request", "model")
  return model or M.get_namespaced_ctx("parse-request", "request_model") or NO_MODEL
end

return M
