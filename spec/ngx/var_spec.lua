local request = require "moongate.spec.request"

describe("D2 ngx.var", function()
  it("D2 reads the families and knows nothing of others", function()
    local r = request { uri = "/v%20w?a=1&B=2", headers = { { "X-Two", "a" }, { "X-Two", "b" }, { "Cookie", "c=d" },
      { "TE", "trailers" }, { "Via", "1.0 x" } }, handler = function()
      local v = ngx.var
      assert.same({ "/v w", "/v%20w?a=1&B=2", "a=1&B=2", "?", "GET" },
                  { v.uri, v.request_uri, v.args, v.is_args, v.request_method })
      assert.same({ "a, b", "1", "2", "d" }, { v.http_x_two, v.arg_a, v.arg_b, v.cookie_c })
      assert.same({ "trailers", "keep-alive", "http" }, { v.upstream_te, v.upstream_connection, v.kong_proxy_mode })
      assert.matches("^1%.0 x, 1%.1 moongate/", v.upstream_via)
      for _, name in ipairs { "nothing", "http_none", "arg_none", "cookie_none", "sent_http_none", "upstream_http_none",
        "upstream_cookie_none", "upstream_trailer_none", "sent_trailer_none", "upstream_addr", "upstream_status",
        "upstream_response_time", "upstream_response_length" } do
        assert.is_nil(v[name], name)
      end
      for _, name in ipairs { "connection", "connection_requests", "connection_time", "request_length", "request_time",
        "msec", "pid", "hostname", "nginx_version", "time_local", "time_iso8601", "request_id", "server_port" } do
        assert.is_string(v[name], name)
      end
      assert.is_nil(v[1])
      ngx.header.x_out = "1"
      assert.equal("1", v.sent_http_x_out)
    end }
    assert.is_nil(r.err)
  end)

  it("D2 writes what may be written", function()
    local r = request { handler = function()
      local v = ngx.var
      for _, name in ipairs { "upstream_uri", "upstream_host", "upstream_scheme", "upstream_te", "upstream_via",
        "upstream_connection", "upstream_x_forwarded_for", "upstream_x_forwarded_prefix", "kong_proxy_mode", "ctx_ref" } do
        v[name] = "x"
        assert.equal("x", v[name], name)
      end
      v.args = "n=1"
      assert.same({ "n=1", "1" }, { v.query_string, v.arg_n })
      v.args = nil
      assert.is_nil(v.args)
      local function refuses(name, why)
        assert.error_matches(function() v[name] = "x" end, 'variable "' .. name .. '" ' .. why)
      end
      for _, name in ipairs { "uri", "host", "status", "http_host", "remote_addr", "upstream_addr", "sent_http_location" } do
        refuses(name, "not changeable")
      end
      refuses("ssl_protocol", "cannot be assigned a value")
      refuses("http_x", "not found for writing; maybe it is a built%-in variable")
      refuses("nothing", "not found for writing; maybe it is a built%-in variable")
      assert.error_matches(function() v[1] = 1 end, "bad variable name")
      assert.error_matches(function() return v[{}] end, "bad variable name")
    end }
    assert.is_nil(r.err)
  end)
end)
