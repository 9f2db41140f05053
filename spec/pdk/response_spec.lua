local request = require "moongate.spec.request"
local support = dofile "spec/pdk/support.lua"
local raised, junk, within = support.raised, support.junk, support.within

describe("D1 kong.response", function()
  local response = kong.response

  local function filtered(f)
    within(f, { phase = "header_filter" })
  end

  it("D1 set_status and get_status", function()
    filtered(function()
      response.set_status(404)
      assert.same({ 404, 404 }, { response.get_status(), ngx.status })
      for _, value in junk("number") do
        assert.equal("code must be a number", raised(response.set_status, value))
      end
      for _, value in ipairs { 99, 600, -1 } do
        assert.equal("code must be a number between 100 and 599", raised(response.set_status, value))
      end
    end)
  end)

  it("D1 headers: set, add, clear, read", function()
    filtered(function()
      response.set_header("X-A", "1")
      response.add_header("x-a", "2")
      response.add_header("X-B", true)
      response.set_header("X-C", 3)
      response.set_header("X-D", { "4", "5" })
      response.set_header("X_E", "")
      assert.same({ "1", "true", "3", "4", " " }, {
        response.get_header("X-A"), response.get_header("x-b"), response.get_header("x_c"),
        response.get_header("X-D"), response.get_header("X-E"),
      })
      local all = response.get_headers()
      assert.same({ "1", "2" }, all["x-a"])
      assert.same({ "4", "5" }, all["X-D"])
      response.set_headers({ ["X-A"] = "new", ["X-F"] = { "6", "" } })
      assert.equal("new", response.get_headers()["x-a"])
      assert.same({ "6", " " }, response.get_headers()["x-f"])
      response.clear_header("x-A")
      assert.is_nil(response.get_header("X-A"))
      local _, err = response.get_headers(1)
      assert.equal("truncated", err)
      response.set_header("Transfer-Encoding", "chunked")
      response.set_headers({ ["transfer_encoding"] = "chunked" })
      assert.is_nil(response.get_header("Transfer-Encoding"))
    end)
  end)

  it("D1 junk in headers", function()
    filtered(function()
      for kind, value in junk("string") do
        assert.matches("^invalid header name .*: got " .. kind .. ", expected string$",
                       raised(response.set_header, value, "a"))
        assert.matches("^invalid header name .*: got " .. kind .. ", expected string$",
                       raised(response.add_header, value, "a"))
        assert.equal("header name must be a string", raised(response.clear_header, value))
        assert.equal("header name must be a string", raised(response.get_header, value))
      end
      for kind, value in junk("string", "number", "boolean", "table") do
        local text = 'invalid header value for "a": got ' .. kind
          .. ", expected array of string, string, number or boolean"
        assert.equal(text, raised(response.set_header, "a", value))
        assert.equal(text, raised(response.add_header, "a", value))
        if value ~= nil then
          assert.equal('invalid header value for "a": got ' .. kind
            .. ", expected string, number, boolean or array of strings", raised(response.set_headers, { a = value }))
        end
      end
      for kind, value in junk("nil", "string") do
        local text = 'invalid header value in array "a": got ' .. kind .. ", expected string"
        assert.equal(text, raised(response.set_header, "a", { value }))
        assert.equal(text, raised(response.add_header, "a", { "b", value }))
        assert.equal(text, raised(response.set_headers, { a = { value } }))
      end
      for _, value in junk("table") do
        assert.equal("headers must be a table", raised(response.set_headers, value))
      end
      assert.matches("^invalid header name .*: got number, expected string$", raised(response.set_headers, { "a" }))
      for _, value in junk("nil", "number") do
        assert.equal("max_headers must be a number", raised(response.get_headers, value))
      end
      assert.equal("max_headers must be >= 1", raised(response.get_headers, 0))
      assert.equal("max_headers must be <= 1000", raised(response.get_headers, 1001))
    end)
  end)

  it("D1 exit ends the handler and answers", function()
    local function exit(...)
      local args = { n = select("#", ...), ... }
      return request { handler = function()
        response.exit(unpack(args, 1, args.n))
        error("goes on")
      end }
    end
    local r = exit(403, { message = "no" }, { ["X-A"] = "b" })
    assert.same({ "exit", 403, '{"message":"no"}', "b", "application/json; charset=utf-8", "16" },
                { r.ended, r.status, r.body, r.headers["x-a"], r.headers["content-type"],
                  r.headers["content-length"] })
    r = exit(200, "text")
    assert.same({ 200, "text", "4" }, { r.status, r.body, r.headers["content-length"] })
    assert.is_nil(r.headers["content-type"])
    r = exit(204)
    assert.same({ 204, "0" }, { r.status, r.headers["content-length"] })
    r = exit(200, { a = 1 }, { ["content_type"] = "x/y" })
    assert.same({ '{"a":1}', "x/y" }, { r.body, r.headers["content-type"] })
  end)

  it("D1 exit checks its arguments", function()
    within(function()
      for _, value in junk("number") do
        assert.equal("code must be a number", raised(response.exit, value))
      end
      for _, value in ipairs { 99, 600 } do
        assert.equal("code must be a number between 100 and 599", raised(response.exit, value))
      end
      for _, value in junk("nil", "string", "table") do
        assert.equal("body must be a nil, string or table", raised(response.exit, 200, value))
      end
      for _, value in junk("nil", "table") do
        assert.equal("headers must be a nil or table", raised(response.exit, 200, nil, value))
      end
      assert.equal('invalid header value for "a": got function, expected string, number, boolean or array of strings',
                   raised(response.exit, 200, nil, { a = print }))
      assert.matches("^body encoding failed while flushing response: ", raised(response.exit, 200, { print }))
    end)
  end)

  it("D1 error answers in what the client accepts", function()
    local function answer(accept, ...)
      local args = { n = select("#", ...), ... }
      return request {
        headers = accept and { { "Accept", accept } },
        handler = function() response.error(unpack(args, 1, args.n)) end,
      }
    end
    local id = "0123456789abcdef0123456789abcdef"
    local r = answer(nil, 404)
    assert.same({ 404, "application/json; charset=utf-8" }, { r.status, r.headers["content-type"] })
    assert.equal('{\n  "message":"Not found",\n  "request_id":"' .. id .. '"\n}', r.body)
    r = answer("text/html", 500, "oh")
    assert.matches("<p>oh%.</p>", r.body)
    assert.matches("text/html", r.headers["content-type"])
    r = answer("text/plain;q=0.3, application/xml;q=0.9", 502)
    assert.matches("<message>An invalid response was received from the upstream server</message>", r.body)
    r = answer("text/plain", 599)
    assert.equal("The upstream server responded with 599\nrequest_id: " .. id .. "\n", r.body)
    r = answer("text/plain", 400, { a = 1 })
    assert.equal('{"a":1}\nrequest_id: ' .. id .. "\n", r.body)
    r = answer("text/plain", 400, "m", { ["X-A"] = "b", ["Content-Type"] = "application/xml" })
    assert.same({ "b", "application/xml" }, { r.headers["x-a"], r.headers["content-type"] })
    assert.matches("<message>m</message>", r.body)
  end)

  it("D1 error checks its arguments", function()
    within(function()
      for _, value in junk("number") do
        assert.equal("code must be a number", raised(response.error, value))
      end
      for _, value in ipairs { 399, 600 } do
        assert.equal("code must be a number between 400 and 599", raised(response.error, value))
      end
      for _, value in junk("nil", "string", "table") do
        assert.equal("message must be a nil, a string or a table", raised(response.error, 400, value))
      end
      assert.matches("^could not JSON encode the error message: ", raised(response.error, 400, { print }))
      for _, value in junk("nil", "table") do
        assert.equal("headers must be a nil or table", raised(response.error, 400, nil, value))
      end
    end)
  end)

  it("D1 gRPC clients get gRPC's status", function()
    local function answer(f)
      local version = ngx.req.http_version
      local r = request {
        headers = { { "Content-Type", "application/grpc" } },
        handler = function()
          ngx.req.http_version = function() return 2 end
          f()
        end,
      }
      ngx.req.http_version = version
      return r
    end
    local r = answer(function() response.exit(403, { message = "hello" }) end)
    assert.same({ 403, "", "7", "hello" }, { r.status, r.body, r.headers["grpc-status"], r.headers["grpc-message"] })
    r = answer(function() response.exit(200) end)
    assert.same({ "0", "OK", "0" },
                { r.headers["grpc-status"], r.headers["grpc-message"], r.headers["content-length"] })
    r = answer(function() response.error(429) end)
    assert.same({ "8", "ResourceExhausted", "application/grpc" },
                { r.headers["grpc-status"], r.headers["grpc-message"], r.headers["content-type"] })
    r = answer(function() response.exit(401, { 1 }) end)
    assert.same({ "16", "Unauthenticated", "" }, { r.headers["grpc-status"], r.headers["grpc-message"], r.body })
  end)

  it("D1 nothing changes once the head is out", function()
    within(function()
      for name, args in pairs {
        set_status = { 200 }, set_header = { "a", "b" }, add_header = { "a", "b" }, clear_header = { "a" },
        set_headers = { {} }, exit = { 200 }, error = { 500 },
      } do
        ngx.ctx.KONG_PHASE = 0x200
        assert.equal("headers have already been sent", raised(response[name], unpack(args)), name)
      end
    end, { phase = "body_filter" })
    within(function()
      ngx.say("begun")
      assert.equal("headers have already been sent", raised(response.exit, 200))
    end)
  end)

  it("D1 get_source", function()
    local function source(f)
      local found
      request { steps = {
        { "access", f },
        { "header_filter", function() found = response.get_source() end },
      } }
      return found
    end
    assert.equal("exit", source(function() response.exit(200) end))
    assert.equal("service", source(function() request.answered(200) end))
    assert.equal("error", source(function() end))
    assert.equal("service", source(function() ngx.ctx.KONG_PROXIED = true end))
    assert.equal("error", source(function() ngx.ctx.KONG_UNEXPECTED = true request.answered(200) end))
    assert.equal("exit", source(function() ngx.ctx.KONG_EXITED = true request.answered(200) end))
    within(function()
      assert.equal("service", response.get_source({ KONG_PROXIED = true }))
      assert.equal("exit", response.get_source({ KONG_PROXIED = true, KONG_EXITED = true }))
      assert.equal("error", response.get_source({ KONG_EXITED = true, KONG_UNEXPECTED = true }))
      assert.equal("error", response.get_source({}))
    end)
  end)

  it("D1 get_raw_body holds chunks until the last", function()
    local seen = {}
    local function step(text, last)
      return { "body_filter", function()
        request.chunk(text, last)
        seen[#seen + 1] = tostring(response.get_raw_body())
        seen[#seen + 1] = tostring(request.left().chunk)
      end }
    end
    request { steps = { step("one ", false), step("", false), step("two", false), step("", true) } }
    assert.same({ "nil", "", "nil", "", "nil", "", "one two", "one two" }, seen)
  end)

  it("D1 set_raw_body makes its chunk the last", function()
    within(function()
      request.chunk("old", false)
      response.set_raw_body("new")
      assert.same({ "new", true }, { request.left().chunk, request.left().last })
      response.set_raw_body("")
      assert.equal("\n", request.left().chunk)
      for _, value in junk("string") do
        assert.equal("body must be a string", raised(response.set_raw_body, value))
      end
    end, { phase = "body_filter" })
  end)
end)
