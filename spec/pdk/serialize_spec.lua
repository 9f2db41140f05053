local request = require "moongate.spec.request"
local support = dofile "spec/pdk/support.lua"
local raised = support.raised

-- What is serialized of a request after `before` ran in access.
local function serialized(before, options)
  local line
  request {
    method = options and options.method, uri = options and options.uri or "/a?b=c", headers = options and options.headers,
    steps = {
      { "access", before or function() end },
      { "log", function() line = kong.log.serialize(options and options.options) end },
    },
  }
  return line
end

describe("D1 kong.log.serialize", function()
  it("D1 a proxied request, field by field", function()
    local line = serialized(function()
      request.answered(201, "Content-Type: text/plain\nX-Up: 1")
      ngx.ctx.route = { id = "r", name = "route" }
      ngx.ctx.service = { id = "s" }
      kong.client.authenticate({ id = "c", username = "bob" }, { id = "k", consumer_id = "c" })
      request.client(false, "10.0.0.9:1")
    end, { method = "POST", headers = { { "Authorization", "Basic x" }, { "Proxy-Authorization", "y" }, { "X-A", "1" } } })
    assert.same({ id = "0123456789abcdef0123456789abcdef", uri = "/a?b=c", url = "http://test.local:8000/a?b=c",
                  querystring = { b = "c" }, method = "POST" },
                { id = line.request.id, uri = line.request.uri, url = line.request.url,
                  querystring = line.request.querystring, method = line.request.method })
    assert.equal("REDACTED", line.request.headers.authorization)
    assert.equal("REDACTED", line.request.headers["proxy-authorization"])
    assert.equal("REDACTED", line.request.headers.Authorization)
    assert.equal("1", line.request.headers["x-a"])
    assert.equal("number", type(line.request.size))
    assert.is_nil(line.request.tls)
    assert.equal(201, line.response.status)
    assert.equal("1", line.response.headers["x-up"])
    assert.equal("number", type(line.response.size))
    for _, name in ipairs { "kong", "proxy", "request", "receive" } do
      assert.equal("number", type(line.latencies[name]))
      assert.is_true(line.latencies[name] >= 0)
    end
    assert.same({ id = "k", consumer_id = "c" }, line.authenticated_entity)
    assert.same({ id = "r", name = "route" }, line.route)
    assert.same({ id = "s" }, line.service)
    assert.same({ id = "c", username = "bob" }, line.consumer)
    assert.equal("10.0.0.9", line.client_ip)
    assert.equal("upstream", line.source)
    assert.equal("default", line.workspace_name)
    assert.matches("^%x+%-%x+%-%x+%-%x+%-%x+$", line.workspace)
    assert.is_true(line.started_at > 1.6e12 and line.started_at % 1 == 0)
  end)

  it("D1 one that a plugin answers, without a route", function()
    local line = serialized(function() kong.response.exit(418) end)
    assert.equal("kong", line.source)
    assert.equal(418, line.response.status)
    assert.equal(-1, line.latencies.proxy)
    assert.equal("", line.upstream_status)
    for _, name in ipairs { "route", "service", "consumer", "authenticated_entity", "tries" } do
      assert.is_nil(line[name])
    end
  end)

  it("D1 tables are copies", function()
    local route = { id = "r", list = { 1 } }
    local line = serialized(function() ngx.ctx.route = route end)
    assert.same(route, line.route)
    assert.not_equal(route, line.route)
    assert.not_equal(route.list, line.route.list)
  end)

  it("D1 times and tries that were written into ngx.ctx count", function()
    local line = serialized(function()
      ngx.ctx.KONG_PROXY_LATENCY = 7
      ngx.ctx.KONG_WAITING_TIME = 8
      ngx.ctx.KONG_RECEIVE_TIME = 9
      ngx.ctx.balancer_data = { tries = { { ip = "1.2.3.4" } } }
      ngx.ctx.CLIENT_VERIFY_OVERRIDE = "NONE"
    end)
    assert.same({ 7, 8, 9 }, { line.latencies.kong, line.latencies.proxy, line.latencies.receive })
    assert.same({ { ip = "1.2.3.4" } }, line.tries)
  end)

  it("D1 set, add and replace, nested and escaped", function()
    local set = kong.log.set_serialize_value
    local line = serialized(function()
      set("a", 1)
      set("a", 2, { mode = "add" })
      set("b", 2, { mode = "add" })
      set("c", 3, { mode = "replace" })
      set("request.method", "X", { mode = "replace" })
      set("request.new.deep", true)
      set("x.y.z", "deep")
      set("x.y.z", "deeper", { mode = "replace" })
      set("p.q", 1, { mode = "replace" })
      set("dotted\\.name", 1)
      set("dotted\\.table.name", 2)
      set("request.uri", nil)
      set("empty", ngx.null)
      set("list", { 1, { b = true } })
    end)
    assert.same({ 1, 2, nil, "X" }, { line.a, line.b, line.c, line.request.method })
    assert.is_true(line.request.new.deep)
    assert.same({ y = { z = "deeper" } }, line.x)
    assert.is_nil(line.p)
    assert.equal(1, line["dotted.name"])
    assert.same({ name = 2 }, line["dotted.table"])
    assert.is_nil(line.request.uri)
    assert.equal(ngx.null, line.empty)
    assert.same({ 1, { b = true } }, line.list)
  end)

  it("D1 values that are no data are refused when they are serialized", function()
    local VALUE = "value must be nil, a number, string, boolean or a non-self-referencial table containing numbers, "
      .. "string and booleans"
    local loop = {}
    loop.loop = loop
    for _, value in ipairs { print, coroutine.create(print), 1LL, { { print } }, loop, { [{}] = 1 } } do
      local err
      request {
        steps = {
          { "access", function() kong.log.set_serialize_value("a", value) end },
          { "log", function() err = raised(kong.log.serialize) end },
        },
      }
      assert.equal(VALUE, err)
    end
    local err
    request {
      steps = {
        { "access", function() kong.log.set_serialize_value("client_ip.x", 1) end },
        { "log", function() err = raised(kong.log.serialize) end },
      },
    }
    assert.equal("The key 'client_ip.x' could not be used as a serialize value. Subkey 'client_ip' is not a table. "
      .. "It's 127.0.0.1", err)
  end)

  it("D1 takes an ngx and a kong of the caller's", function()
    local line = serialized(nil, { options = {
      ngx = {
        ctx = { KONG_PROXIED = true, KONG_RECEIVE_TIME = 100, KONG_PROXY_LATENCY = 200, host_port = 5000,
                balancer_data = { tries = { { ip = "127.0.0.1" } } }, serialize_values = { { key = "k", value = 1,
                mode = "set" } } },
        var = { kong_request_id = "1234", request_uri = "/request_uri", upstream_uri = "/upstream_uri",
                scheme = "http", host = "test.test", server_port = "80", request_length = "200", bytes_sent = "99",
                request_time = "2", remote_addr = "1.1.1.1", upstream_status = "500, 200", is_args = "?",
                args = "x=y" },
        status = 202,
        resp = { get_headers = function() return { h = "v" } end },
      },
    } })
    assert.same({ "1234", "/request_uri", "http://test.test:5000/request_uri", 200 },
                { line.request.id, line.request.uri, line.request.url, line.request.size })
    assert.same({ 202, { h = "v" }, 99 }, { line.response.status, line.response.headers, line.response.size })
    assert.same({ kong = 200, proxy = -1, request = 2000, receive = 100 }, line.latencies)
    assert.same({ "/upstream_uri?x=y", "500, 200", "1.1.1.1", "upstream", 1 },
                { line.upstream_uri, line.upstream_status, line.client_ip, line.source, line.k })
    assert.same({ { ip = "127.0.0.1" } }, line.tries)
  end)
end)
