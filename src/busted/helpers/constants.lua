-- Where Kong's specs look for things; the environment says where a service is elsewhere.

local function env(name, default)
  local value = os.getenv("KONG_SPEC_TEST_" .. name)
  return type(default) == "number" and tonumber(value) or value or default
end

local UPSTREAM, UPSTREAM_PORT, UPSTREAM_TLS_PORT = "127.0.0.1", 15555, 15556
local grpcbin_host, grpcbin_port = env("GRPCBIN_HOST", "localhost"), env("GRPCBIN_PORT", 9000)
local grpcbin_ssl_port = env("GRPCBIN_SSL_PORT", 9001)

return {
  plugin_path = "./spec/fixtures/custom_plugins/?.lua",
  vault_path = "./spec/fixtures/custom_vaults/?.lua;./spec/fixtures/custom_vaults/?/init.lua",
  exported = {
    bin_path = "bin/kong",
    test_conf_path = env("CONF_PATH", "spec/kong_tests.conf"),
    external_plugins_path = "./spec/fixtures/external_plugins",
    mock_upstream_hostname = "localhost",
    mock_upstream_protocol = "http",
    mock_upstream_host = UPSTREAM,
    mock_upstream_port = UPSTREAM_PORT,
    mock_upstream_url = "http://" .. UPSTREAM .. ":" .. UPSTREAM_PORT,
    mock_upstream_ssl_protocol = "https",
    mock_upstream_ssl_host = UPSTREAM,
    mock_upstream_ssl_port = UPSTREAM_TLS_PORT,
    mock_upstream_ssl_url = "https://" .. UPSTREAM .. ":" .. UPSTREAM_TLS_PORT,
    mock_upstream_stream_port = 15557,
    mock_upstream_stream_ssl_port = 15558,
    mock_grpc_upstream_proto_path = "./spec/fixtures/grpc/hello.proto",
    zipkin_host = env("ZIPKIN_HOST", "localhost"),
    zipkin_port = env("ZIPKIN_PORT", 9411),
    otelcol_host = env("OTELCOL_HOST", "localhost"),
    otelcol_http_port = env("OTELCOL_HTTP_PORT", 4318),
    otelcol_zpages_port = env("OTELCOL_ZPAGES_PORT", 55679),
    otelcol_file_exporter_path = env("OTELCOL_FILE_EXPORTER_PATH", "./tmp/otel/file_exporter.json"),
    grpcbin_host = grpcbin_host,
    grpcbin_port = grpcbin_port,
    grpcbin_ssl_port = grpcbin_ssl_port,
    grpcbin_url = ("grpc://%s:%d"):format(grpcbin_host, grpcbin_port),
    grpcbin_ssl_url = ("grpcs://%s:%d"):format(grpcbin_host, grpcbin_ssl_port),
    redis_host = env("REDIS_HOST", "localhost"),
    redis_port = env("REDIS_PORT", 6379),
    redis_ssl_port = env("REDIS_SSL_PORT", 6380),
    redis_ssl_sni = env("REDIS_SSL_SNI", "test-redis.example.com"),
    redis_auth_port = env("REDIS_AUTH_PORT", 6385),
    blackhole_host = "10.255.255.255",
    old_version_kong_path = env("OLD_VERSION_KONG_PATH", "/usr/local/share/lua/5.1/kong/kong-old"),
  },
}
