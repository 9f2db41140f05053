-- kong.service.response: what the upstream answered, whatever plugins make of it.

local request = require "moongate.spec.request"
local support = dofile "spec/pdk/support.lua"
local raised, junk, within = support.raised, support.junk, support.within

local FORM, JSON, MULTIPART = "application/x-www-form-urlencoded", "application/json", "multipart/form-data"

describe("D1 kong.service.response", function()
  local from = kong.service.response

  -- runs `f` in header_filter (or `phase`) after the upstream has answered; with a body the answer is buffered
  local function answered(lines, body, f, phase)
    request { steps = {
      { "access", function() request.answered(200, lines, body) end },
      { phase or "header_filter", f },
    } }
  end

  it("D1 get_status, get_header and get_headers are the upstream's", function()
    request {
      steps = {
        { "access", function()
          kong.response.set_header("X-Early", "1")
          request.answered(201, "X-Up: 1\nX-Up: 2\nX_Under: 3")
        end },
        { "header_filter", function()
          assert.equal("1", from.get_header("X-Up"))
          assert.equal("1", from.get_header("x-up"))
          assert.same({ "1", "2" }, from.get_headers()["x-up"])
          assert.same({ "1", "2" }, from.get_headers()["X-Up"])
          assert.same({ "1", "2" }, from.get_headers().x_up)
          kong.response.set_header("X-Late", "1")
          kong.response.set_header("X-Up", "changed")
          kong.response.set_status(500)
          assert.equal(201, from.get_status())
          assert.is_nil(from.get_header("X-Late"))
          assert.equal("changed", from.get_header("X-Up"))
          assert.is_nil(from.get_header("X-None"))
          local all = from.get_headers()
          assert.equal("changed", all["X-Up"])
          assert.is_nil(all["X-Late"])
          assert.is_nil(all["X-Early"])
          assert.equal("1", kong.response.get_header("X-Late"))
        end },
        { "log", function() assert.equal(201, from.get_status()) end },
      },
    }
  end)

  it("D1 without an answer there is nothing", function()
    within(function()
      assert.is_nil(from.get_status())
      assert.is_nil(from.get_header("a"))
      assert.same({}, (from.get_headers()))
    end, { phase = "log" })
  end)

  it("D1 get_headers gives a hundred lines, or as many as asked for", function()
    local lines = {}
    for i = 1, 150 do
      lines[i] = "X-" .. i .. ": v"
    end
    local function count(t)
      local n = 0
      for _ in pairs(t) do
        n = n + 1
      end
      return n
    end
    answered(table.concat(lines, "\n"), nil, function()
      local all, err = from.get_headers()
      assert.same({ 100, "truncated" }, { count(all), err })
      all, err = from.get_headers(3)
      assert.same({ 3, "truncated" }, { count(all), err })
      all, err = from.get_headers(1000)
      assert.is_true(count(all) >= 150)
      assert.is_nil(err)
    end)
  end)

  it("D1 get_headers and get_header judge their arguments", function()
    answered("X-Up: 1", nil, function()
      for _, value in junk("string") do
        assert.equal("name must be a string", raised(from.get_header, value))
      end
      for _, value in junk("nil", "number") do
        assert.equal("max_headers must be a number", raised(from.get_headers, value))
      end
      assert.equal("max_headers must be >= 1", raised(from.get_headers, 0))
      assert.equal("max_headers must be >= 1", raised(from.get_headers, -1))
      assert.equal("max_headers must be <= 1000", raised(from.get_headers, 1001))
    end)
  end)

  it("D1 get_raw_body: the whole body, and an empty one is one", function()
    answered("Content-Type: text/plain", "all of it", function()
      assert.equal("all of it", from.get_raw_body())
    end)
    answered("Content-Type: text/plain", "", function()
      assert.equal("", from.get_raw_body())
    end, "log")
    -- buffering, but no answer came
    request { steps = {
      { "access", function() kong.service.request.enable_buffering() end },
      { "log", function() assert.equal("", from.get_raw_body()) end },
    } }
  end)

  it("D1 get_body of JSON", function()
    answered("Content-Type: application/json", '{"a":1,"b":[]}', function()
      local value, err, kind = from.get_body()
      assert.same({ { a = 1, b = {} }, nil, JSON }, { value, err, kind })
      -- an empty list stays a list
      assert.equal(require("cjson").array_mt, getmetatable(value.b))
      assert.same({ { ['{"a":1,"b":[]}'] = true }, nil, FORM }, { from.get_body(FORM) })
      assert.same({ nil, "unsupported content type 'text/x'", "text/x" }, { from.get_body("text/x") })
      assert.same({ nil, "unsupported content type 'Text/X; a=b'", "text/x" }, { from.get_body("Text/X; a=b") })
    end)
    for _, text in ipairs { "nonsense", "", "5", '"text"', "null" } do
      answered("Content-Type: Application/JSON; charset=utf-8", text, function()
        assert.same({ nil, "invalid json body", JSON }, { from.get_body() })
      end)
    end
  end)

  it("D1 get_body of a form", function()
    answered("Content-Type: " .. FORM, "a=1&b=2&a=3&c&d=x+y%21", function()
      assert.same({ { a = { "1", "3" }, b = "2", c = true, d = "x y!" }, nil, FORM }, { from.get_body() })
      assert.same({ a = "1" }, (from.get_body(nil, 1)))
      for _, value in junk("nil", "number") do
        assert.equal("max_args must be a number", raised(from.get_body, nil, value))
      end
      assert.equal("max_args must be >= 1", raised(from.get_body, nil, 0))
      assert.equal("max_args must be <= 1000", raised(from.get_body, nil, 1001))
    end)
    answered("Content-Type: " .. FORM, ("a=1&"):rep(150), function()
      assert.equal(100, #from.get_body().a)
      assert.equal(150, #from.get_body(nil, 200).a)
    end)
  end)

  it("D1 get_body of parts", function()
    local body = '--q\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n'
      .. '--q\r\nContent-Disposition: form-data; name="b"\r\n\r\n1\r\n'
      .. '--q\r\nContent-Disposition: form-data; name="b"\r\n\r\n2\r\n--q--\r\n'
    answered("Content-Type: multipart/form-data; boundary=q", body, function()
      assert.same({ { a = "x", b = { "1", "2" } }, nil, MULTIPART }, { from.get_body() })
    end)
  end)

  it("D1 get_body wants to know what it is", function()
    answered("X-Nothing: 1", "text", function()
      assert.same({ nil, "missing content type" }, { from.get_body() })
      assert.same({ { text = true }, nil, FORM }, { from.get_body(FORM) })
      for kind, value in junk("nil", "string", "number") do
        assert.equal("bad argument #1 to 'lower' (string expected, got " .. kind .. ")", raised(from.get_body, value))
      end
    end)
  end)

  it("D1 a body that is not buffered is not to be had", function()
    local BUFFERED = "service body is only available with buffered proxying (see: "
      .. "kong.service.request.enable_buffering function)"
    for _, phase in ipairs { "header_filter", "log" } do
      answered("Content-Type: application/json", nil, function()
        assert.equal(BUFFERED, raised(from.get_raw_body))
        assert.equal(BUFFERED, raised(from.get_body))
      end, phase)
    end
  end)

  it("D1 what ngx.ctx says of a buffered answer counts", function()
    answered("Content-Type: text/plain", nil, function()
      ngx.ctx.buffered_proxying, ngx.ctx.buffered_body, ngx.ctx.buffered_status = true, "mine", 299
      assert.same({ "mine", 299 }, { from.get_raw_body(), from.get_status() })
    end)
  end)
end)
