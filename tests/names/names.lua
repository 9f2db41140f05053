-- The names of the whole contract: Kong 3.10's PDK, the Lua API of lua-nginx-module, lua-resty-core's modules.
--
-- A name is a path from the globals (`kong.request.get_header`), a field of a module (`ngx.ssl#server_name`), or a
-- method of an object (`tcpsock:connect`). Values say what is there besides functions: "table", "string", "number",
-- "boolean", "any" (may be nil, as where no request is); nothing says a function.

local M = {}

local function add(list, prefix, names, kind)
  for name in names:gmatch("%S+") do
    list[#list + 1] = { name = prefix .. name, kind = kind or "function" }
  end
end

M.kong = {}
local kong = M.kong
add(kong, "kong.", "version", "string")
add(kong, "kong.", "version_num", "number")
add(kong, "kong.", [[configuration db cache core_cache dns worker_events cluster_events timer client ctx ip log nginx node
  plugin request response router service table telemetry tracing vault]], "table")
add(kong, "kong.", "default_workspace", "string")
add(kong, "kong.ctx.", "core shared", "table")
add(kong, "kong.ctx.", "plugin", "any")
add(kong, "kong.configuration.", "remove_sensitive")
add(kong, "kong.dns.", "toip resolve")
add(kong, "kong.client.", [[get_ip get_forwarded_ip get_port get_forwarded_port get_credential load_consumer get_consumer
  authenticate get_protocol]])
add(kong, "kong.client.tls.", [[request_client_certificate disable_session_reuse get_full_client_certificate_chain
  set_client_verify]])
add(kong, "kong.cluster.", "get_id")
add(kong, "kong.ip.", "is_trusted")
add(kong, "kong.log.", [[emerg alert crit err warn notice info debug trace new set_format set_serialize_value serialize]])
add(kong, "kong.log.", "deprecation inspect", "table")
add(kong, "kong.log.deprecation.", "write")
add(kong, "kong.log.inspect.", "on off")
add(kong, "kong.nginx.", "get_subsystem get_statistics")
add(kong, "kong.node.", "get_id get_memory_stats get_hostname")
add(kong, "kong.plugin.", "get_id")
add(kong, "kong.request.", [[get_scheme get_host get_port get_forwarded_scheme get_forwarded_host get_forwarded_port
  get_forwarded_path get_forwarded_prefix get_http_version get_method get_path get_raw_path get_path_with_query
  get_raw_query get_query_arg get_query get_header get_headers get_raw_body get_body get_start_time get_uri_captures]])
add(kong, "kong.response.", [[get_status get_header get_headers get_source set_status set_header add_header clear_header
  set_headers get_raw_body set_raw_body exit error]])
add(kong, "kong.router.", "get_route get_service")
add(kong, "kong.service.", [[set_upstream set_target set_target_retry_callback set_retries set_timeouts set_tls_cert_key
  set_tls_verify set_tls_verify_depth set_tls_verify_store]])
add(kong, "kong.service.request.", [[enable_buffering set_scheme set_path set_raw_query set_method set_query clear_query_arg
  set_header add_header clear_header set_headers set_raw_body set_body disable_tls]])
add(kong, "kong.service.response.", "get_status get_headers get_header get_raw_body get_body")
add(kong, "kong.table.", "new clear merge")
add(kong, "kong.telemetry.", "log")
add(kong, "kong.tracing.", [[active_span set_active_span start_span process_span set_should_sample get_sampling_decision new
  create_span link_span init_spans get_spans get_root_span]])
add(kong, "kong.tracing.", "name", "string")
add(kong, "kong.vault.", "flush is_reference parse_reference get update try init_worker warmup")
add(kong, "kong.worker_events.", "post post_local publish register subscribe poll unregister")
add(kong, "kong.cluster_events:", "broadcast subscribe")
add(kong, "kong.timer:", "at every named_at named_every cancel")
add(kong, "kong.cache:", "get get_bulk safe_set renew probe invalidate invalidate_local purge")
add(kong, "span:", "finish set_attribute add_event record_error set_status release each_baggage_item")
add(kong, "kong.pdk.private.phases#", "new check check_not")
add(kong, "kong.pdk.private.phases#", "phases", "table")
add(kong, "kong.pdk.private.checks#", "normalize_header normalize_multi_header validate_header validate_headers")
add(kong, "kong.pdk#", "new")
for name in ([[client client.tls cluster ctx ip log nginx node plugin request response router service service.request
  service.response table telemetry tracing vault]]):gmatch("%S+") do
  add(kong, "kong.pdk." .. name .. "#", "new")
end

M.ngx = {}
local ngx = M.ngx
add(ngx, "ngx.", [[OK ERROR AGAIN DONE DECLINED HTTP_GET HTTP_HEAD HTTP_PUT HTTP_POST HTTP_DELETE HTTP_OPTIONS HTTP_MKCOL
  HTTP_COPY HTTP_MOVE HTTP_PROPFIND HTTP_PROPPATCH HTTP_LOCK HTTP_UNLOCK HTTP_PATCH HTTP_TRACE HTTP_CONTINUE
  HTTP_SWITCHING_PROTOCOLS HTTP_OK HTTP_CREATED HTTP_ACCEPTED HTTP_NO_CONTENT HTTP_PARTIAL_CONTENT HTTP_SPECIAL_RESPONSE
  HTTP_MOVED_PERMANENTLY HTTP_MOVED_TEMPORARILY HTTP_SEE_OTHER HTTP_NOT_MODIFIED HTTP_TEMPORARY_REDIRECT
  HTTP_PERMANENT_REDIRECT HTTP_BAD_REQUEST HTTP_UNAUTHORIZED HTTP_PAYMENT_REQUIRED HTTP_FORBIDDEN HTTP_NOT_FOUND
  HTTP_NOT_ALLOWED HTTP_NOT_ACCEPTABLE HTTP_REQUEST_TIMEOUT HTTP_CONFLICT HTTP_GONE HTTP_UPGRADE_REQUIRED
  HTTP_TOO_MANY_REQUESTS HTTP_CLOSE HTTP_ILLEGAL HTTP_INTERNAL_SERVER_ERROR HTTP_METHOD_NOT_IMPLEMENTED HTTP_BAD_GATEWAY
  HTTP_SERVICE_UNAVAILABLE HTTP_GATEWAY_TIMEOUT HTTP_VERSION_NOT_SUPPORTED HTTP_INSUFFICIENT_STORAGE STDERR EMERG ALERT CRIT
  ERR WARN NOTICE INFO DEBUG]], "number")
add(ngx, "ngx.", "null ctx status headers_sent is_subrequest", "any")
add(ngx, "ngx.", "arg var header shared config", "table")
add(ngx, "", "print")
add(ngx, "ngx.", [[exec redirect exit send_headers print say log flush eof sleep escape_uri unescape_uri encode_args
  decode_args encode_base64 decode_base64 decode_base64mime crc32_short crc32_long hmac_sha1 md5 md5_bin sha1_bin
  quote_sql_str today time now update_time localtime utctime cookie_time http_time parse_http_time get_phase on_abort
  run_worker_thread]])
add(ngx, "ngx.location.", "capture capture_multi")
add(ngx, "ngx.req.", [[is_internal start_time http_version raw_header get_method set_method set_uri set_uri_args
  get_uri_args get_post_args get_headers set_header clear_header read_body discard_body get_body_data get_body_file
  set_body_data set_body_file init_body append_body finish_body socket]])
add(ngx, "ngx.resp.", "get_headers")
add(ngx, "ngx.re.", "match find gmatch sub gsub")
add(ngx, "ngx.socket.", "udp tcp stream connect")
add(ngx, "ngx.thread.", "spawn wait kill")
add(ngx, "ngx.timer.", "at every running_count pending_count")
add(ngx, "ngx.worker.", "exiting pid pids count id")
add(ngx, "ngx.config.", "nginx_version ngx_lua_version", "number")
add(ngx, "ngx.config.", "subsystem", "string")
add(ngx, "ngx.config.", "debug", "boolean")
add(ngx, "ngx.config.", "prefix nginx_configure")
add(ngx, "coroutine.", "create resume yield wrap running status")
add(ngx, "ndk.set_var.", "set_escape_uri set_unescape_uri set_quote_json_str set_encode_base64 set_decode_base64")
add(ngx, "tcpsock:", [[bind connect setclientcert sslhandshake send receive receiveany receiveuntil close settimeout
  settimeouts setoption setkeepalive getreusedtimes]])
add(ngx, "udpsock:", "bind setpeername send receive close settimeout")
add(ngx, "dict:", [[get get_stale set safe_set add safe_add replace delete incr lpush rpush lpop rpop llen ttl expire
  flush_all flush_expired get_keys capacity free_space]])

M.resty_core = {}
local core = M.resty_core
add(core, "ngx.balancer#", [[set_current_peer bind_to_local_addr enable_keepalive set_more_tries get_last_failure
  set_timeouts recreate_request set_upstream_tls]])
add(core, "ngx.base64#", "encode_base64url decode_base64url")
add(core, "ngx.errlog#", "set_filter_level get_logs get_sys_filter_level raw_log")
add(core, "ngx.ocsp#", [[get_ocsp_responder_from_der_chain create_ocsp_request validate_ocsp_response
  set_ocsp_status_resp]])
add(core, "ngx.pipe#", "spawn")
add(core, "proc:", [[set_timeouts wait pid kill shutdown write stderr_read_all stdout_read_all stderr_read_line
  stdout_read_line stderr_read_bytes stdout_read_bytes stderr_read_any stdout_read_any]])
add(core, "ngx.process#", "type enable_privileged_agent signal_graceful_exit get_master_pid")
add(core, "ngx.proxyssl#", "get_tls1_version get_tls1_version_str")
add(core, "ngx.re#", "split opt")
add(core, "ngx.req#", "add_header")
add(core, "ngx.resp#", "add_header set_status bypass_if_checks")
add(core, "ngx.semaphore#", "new")
add(core, "semaphore:", "post wait count")
add(core, "ngx.ssl#", [[clear_certs cert_pem_to_der set_der_cert priv_key_pem_to_der set_der_priv_key server_name
  server_port raw_server_addr export_keying_material export_keying_material_early raw_client_addr get_tls1_version
  get_tls1_version_str parse_pem_cert parse_pem_priv_key parse_der_cert parse_der_priv_key set_cert set_priv_key
  verify_client get_client_random get_server_random get_session_master_key get_req_ssl_pointer get_upstream_ssl_pointer
  ssl_session_reused get_req_shared_ssl_ciphers]])
add(core, "ngx.ssl.clienthello#", [[get_client_hello_server_name get_supported_versions get_client_hello_ciphers
  get_client_hello_ext_present get_client_hello_ext set_protocols]])
add(core, "ngx.ssl.proxysslcert#", "clear_certs set_der_cert set_der_priv_key set_cert set_priv_key")
add(core, "ngx.ssl.proxysslverify#", "set_verify_result get_verify_result get_verify_cert")
add(core, "ngx.ssl.session#", "get_session_id get_serialized_session set_serialized_session")
add(core, "resty.core#", "version", "string")
add(core, "resty.core.base#", [[get_string_buf get_string_buf_size set_string_buf_size get_size_ptr get_errmsg_ptr
  ref_in_table get_request new_tab clear_tab allows_subsystem]])
add(core, "resty.core.base#", "FFI_OK FFI_NO_REQ_CTX FFI_BAD_CONTEXT FFI_ERROR FFI_DECLINED FFI_AGAIN FFI_BUSY FFI_DONE",
    "number")
add(core, "resty.core.base#", "version", "string")
add(core, "resty.core.utils#", "str_replace_char")
add(core, "resty.core.time#", "monotonic_msec monotonic_time")
add(core, "resty.core.ctx#", "get_ctx_table")
add(core, "resty.core.regex#", "set_buf_grow_ratio is_regex_cache_empty")
for module in ("base64 exit hash ndk param phase request response shdict socket uri var coroutine"):gmatch("%S+") do
  add(core, "resty.core." .. module .. "#", "version", "string")
end

--- The objects that names with a colon are methods of; made by `M.objects[kind]()`.
M.objects = {
  tcpsock = function() return _G.ngx.socket.tcp() end,
  udpsock = function() return _G.ngx.socket.udp() end,
  dict = function()
    local _, dict = next(_G.ngx.shared)
    return dict
  end,
  proc = function() return require("ngx.pipe").spawn({ "true" }) end,
  semaphore = function() return require("ngx.semaphore").new(1) end,
  span = function()
    local tracer = _G.kong.tracing.new("names", { sampling_rate = 1 })
    return tracer.start_span("names")
  end,
}

--- What a name stands for: its value (nil if there is none), and the object it is a method of.
function M.find(name)
  local module, field = name:match("^([^#]+)#(.*)$")
  if module then
    local ok, loaded = pcall(require, module)
    if not ok or type(loaded) ~= "table" then
      return nil
    elseif field == "" then
      return loaded
    end
    return loaded[field]
  end
  local path, method = name:match("^(.-):(.*)$")
  if path and M.objects[path] then
    local ok, object = pcall(M.objects[path])
    if not ok or object == nil then
      return nil
    end
    return object[method], object
  end
  local value = _G
  local object
  for part in name:gmatch("[^.:]+") do
    if value == nil then
      return nil
    end
    object, value = value, value[part]
  end
  return value, path and object or nil
end

return M
