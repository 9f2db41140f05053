-- `kong.tools.sandbox.environment`: the globals that sandboxed Lua sees: `lua` and `schema` the harmless ones,
-- `handler` also those of `kong` and `ngx` that touch one request. Tables cannot be written to.

local requires = require "kong.tools.sandbox.require"

local LUA = {
  { "", "_VERSION assert error ipairs next pairs pcall print select tonumber tostring type unpack xpcall" },
  { "bit", "arshift band bnot bor bswap bxor lshift rol ror rshift tobit tohex" },
  { "coroutine", "create resume running status wrap yield" },
  { "io", "type" },
  { "jit", "os arch version version_num" },
  { "math", [[abs acos asin atan atan2 ceil cos cosh deg exp floor fmod frexp huge ldexp log log10 max min modf
    pi pow rad random sin sinh sqrt tan tanh]] },
  { "os", "clock date difftime time" },
  { "string", "byte char find format gmatch gsub len lower match rep reverse sub upper" },
  { "table", [[clear clone concat foreach foreachi getn insert isarray isempty maxn move new nkeys pack remove
    sort unpack]] },
}

local SELECTS = {
  certificates = "", consumers = "custom_id username username_ignore_case", keys = "name",
  plugins = "instance_name", routes = "name", services = "name", snis = "name", targets = "target",
  upstreams = "name",
}

local HANDLER = {
  { "kong", "default_workspace version version_num" },
  { "kong.cache", "get get_bulk probe invalidate invalidate_local safe_set renew" },
  { "kong.client", [[authenticate authenticate_consumer_group_by_consumer_id get_consumer get_consumer_group
    get_consumer_groups get_credential get_forwarded_ip get_forwarded_port get_ip get_port get_protocol
    load_consumer set_authenticated_consumer_group set_authenticated_consumer_groups]] },
  { "kong.client.tls", "disable_session_reuse get_full_client_certificate_chain request_client_certificate "
    .. "set_client_verify" },
  { "kong.cluster", "get_id" },
  { "kong.dns", "resolve toip" },
  { "kong.ip", "is_trusted" },
  { "kong.jwe", "decode decrypt encrypt" },
  { "kong.log", "alert crit debug emerg err info notice serialize set_serialize_value warn" },
  { "kong.log.deprecation", "write" },
  { "kong.log.inspect", "on off" },
  { "kong.nginx", "get_statistics get_subsystem" },
  { "kong.node", "get_hostname get_id get_memory_stats" },
  { "kong.plugin", "get_id" },
  { "kong.request", [[get_body get_forwarded_host get_forwarded_path get_forwarded_port get_forwarded_prefix
    get_forwarded_scheme get_header get_headers get_host get_http_version get_method get_path
    get_path_with_query get_port get_query get_query_arg get_raw_body get_raw_path get_raw_query get_scheme
    get_start_time get_uri_captures]] },
  { "kong.response", [[add_header clear_header error exit get_header get_headers get_raw_body get_source
    get_status set_header set_headers set_raw_body set_status]] },
  { "kong.router", "get_route get_service" },
  { "kong.service", [[set_retries set_target set_target_retry_callback set_timeouts set_tls_cert_key
    set_tls_verify set_tls_verify_depth set_tls_verify_store set_upstream]] },
  { "kong.service.request", [[add_header clear_header clear_query_arg enable_buffering set_body set_header
    set_headers set_method set_path set_query set_raw_body set_raw_query set_scheme]] },
  { "kong.service.response", "get_body get_header get_headers get_raw_body get_status" },
  { "kong.table", "clear merge" },
  { "kong.telemetry", "log" },
  { "kong.tracing", [[create_span get_sampling_decision link_span process_span set_active_span
    set_should_sample start_span]] },
  { "kong.vault", "get is_reference parse_reference try update" },
  { "kong.websocket.client", "close drop_frame get_frame set_frame_data set_max_payload_size set_status" },
  { "kong.websocket.upstream", "close drop_frame get_frame set_frame_data set_max_payload_size set_status" },
  { "ngx", [[AGAIN ALERT CRIT DEBUG DECLINED DONE EMERG ERR ERROR INFO NOTICE OK STDERR WARN cookie_time
    crc32_long crc32_short decode_args decode_base64 encode_args encode_base64 eof escape_uri exit flush
    get_phase get_raw_phase hmac_sha1 http_time localtime log md5 md5_bin now null parse_http_time print
    quote_sql_str redirect say send_headers sha1_bin sleep time today unescape_uri update_time utctime]] },
  { "ngx.config", "debug nginx_version ngx_lua_version subsystem" },
  { "ngx.location", "capture capture_multi" },
  { "ngx.re", "find gmatch gsub match sub" },
  { "ngx.req", [[append_body clear_header discard_body finish_body get_body_data get_body_file get_headers
    get_method get_post_args get_uri_args http_version init_body is_internal raw_header read_body
    set_body_data set_body_file set_header set_method set_uri set_uri_args socket start_time]] },
  { "ngx.resp", "get_headers" },
  { "ngx.socket", "connect stream tcp udp" },
  { "ngx.thread", "kill spawn wait" },
  { "ngx.worker", "count exiting id pid pids" },
}

local function at(root, path, make)
  for name in path:gmatch("[^.]+") do
    if type(root) ~= "table" then
      return nil
    end
    if make and root[name] == nil then
      root[name] = {}
    end
    root = root[name]
  end
  return root
end

local function copy(env, path, names, methods)
  local from = at(_G, path)
  local into = at(env, path, true)
  if type(from) ~= "table" then
    return
  end
  for name in names:gmatch("%S+") do
    local value = from[name]
    if methods and type(value) == "function" then
      -- called on the view, meant for what is behind it
      into[name] = function(_, ...) return from[name](from, ...) end
    else
      into[name] = value
    end
  end
end

local function seal(t, name, fallback)
  for key, value in pairs(t) do
    if type(value) == "table" and value ~= t then
      seal(value, name == "_G" and key or name .. "." .. key)
    end
  end
  return setmetatable(t, {
    __index = fallback,
    __newindex = function(_, key)
      error(("Cannot modify %s.%s. Protected by the sandbox."):format(name, key), -1)
    end,
  })
end

local function call_through(view, origin)
  local call = type(origin) == "table" and (getmetatable(origin) or {}).__call
  if call and type(view) == "table" then
    getmetatable(view).__call = function(_, ...) return call(origin, ...) end
  end
end

local function scratch(get)
  return setmetatable({}, {
    __index = function(_, key) return get()[key] end,
    __newindex = function(_, key, value) get()[key] = value end,
  })
end

local function add_kong(env)
  if type(kong) ~= "table" or type(env.kong) ~= "table" then
    return
  end
  if type(kong.log) == "table" and type(env.kong.log) == "table" then
    call_through(env.kong.log, kong.log)
    call_through(env.kong.log.inspect, kong.log.inspect)
    call_through(env.kong.log.deprecation, kong.log.deprecation)
  end
  local conf = kong.configuration
  if type(conf) == "table" and type(conf.remove_sensitive) == "function" then
    rawset(env.kong, "configuration", seal(conf.remove_sensitive(), "kong.configuration"))
  end
  local ctx = kong.ctx
  if type(ctx) == "table" then
    local views = {
      shared = scratch(function() return ctx.shared end),
      plugin = scratch(function() return ctx.plugin end),
    }
    rawset(env.kong, "ctx", setmetatable(views, {
      __newindex = function(_, key)
        error(("Cannot modify kong.ctx.%s. Protected by the sandbox."):format(key), -1)
      end,
    }))
  end
end

local function build(kind, with_request)
  local env = {}
  for _, entry in ipairs(LUA) do
    copy(env, entry[1], entry[2])
  end
  if with_request then
    for _, entry in ipairs(HANDLER) do
      copy(env, entry[1], entry[2], entry[1] == "kong.cache")
    end
    for entity, keys in pairs(SELECTS) do
      local names = "cache_key select select_by_cache_key " .. keys:gsub("%S+", "select_by_%0")
      copy(env, "kong.db." .. entity, names, true)
    end
  end
  env.require = requires[kind]
  seal(env, "_G")
  rawset(env, "_G", env)
  if with_request and type(ngx) == "table" then
    -- the fields that follow the request: ctx, status, headers_sent
    setmetatable(env.ngx, getmetatable(ngx))
    for _, name in ipairs { "var", "arg", "header" } do
      rawset(env.ngx, name, ngx[name])
    end
    add_kong(env)
  end
  return env
end

return {
  lua = build "lua",
  schema = build "schema",
  handler = build("handler", true),
}
