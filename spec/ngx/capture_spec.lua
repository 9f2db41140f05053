local request = require "moongate.spec.request"

describe("D2 ngx.location.capture and ngx.exec", function()
  it("D2 refuses what is no subrequest", function()
    local r = request { handler = function()
      local capture, multi = ngx.location.capture, ngx.location.capture_multi
      local function says(text, f, ...)
        local ok, err = pcall(f, ...)
        assert.is_false(ok)
        assert.is_truthy(err:find(text, 1, true), err)
      end
      says("expecting one or two arguments", capture)
      says("expecting table as the 2nd argument for subrequest 0, but got number", capture, "/", 1)
      says("unsafe uri in argument #1: /../a", capture, "/../a")
      says("Bad args option value", capture, "/", { args = true })
      says("Bad vars option value", capture, "/", { vars = true })
      says("Bad headers option value", capture, "/", { headers = true })
      says("Bad ctx option value type number, expected a Lua table", capture, "/", { ctx = 1 })
      says("Bad http request method", capture, "/", { method = "GET" })
      says("Bad http request body", capture, "/", { body = true })
      says("Bad share_all_vars option value", capture, "/", { share_all_vars = 1 })
      says("Bad copy_all_vars option value", capture, "/", { copy_all_vars = 1 })
      says("failed to adjust the subrequest: -1", capture, "/", { method = 3 })
      says("failed to adjust the subrequest: 500", capture, "/", { vars = { uri = "x" } })
      says("at least one subrequest should be specified", multi, {})
      says("only one argument is expected, but got 0", multi)
      says("the query argument 0 is not a table, but a string", multi, { "/" })
      says("query argument 0 expecting one or two arguments", multi, { {} })
    end }
    assert.is_nil(r.err)
  end)

  it("D2 exec leaves the handler, and only before anything is sent", function()
    local r = request { handler = function() ngx.exec("/a", { b = 1 }) error("went on") end }
    assert.equal("exit", r.ended)
    r = request { handler = function()
      assert.error_matches(function() ngx.exec() end, "expecting one or two arguments, but got 0")
      assert.error_matches(function() ngx.exec("") end, "The uri argument is empty")
      assert.error_matches(function() ngx.exec("/a/../b") end, "unsafe uri")
      assert.error_matches(function() ngx.exec("/a", true) end, "string, number, or table expected, but got boolean")
      ngx.print("x")
      assert.error_matches(function() ngx.exec("/a") end, "attempt to call ngx.exec after sending out response headers")
    end }
    assert.is_nil(r.err)
  end)

  it("D2 is for phases that may wait", function()
    for _, phase in ipairs { "header_filter", "body_filter", "log", "balancer" } do
      local r = request { phase = phase, handler = function() ngx.location.capture("/") end }
      assert.matches("API disabled in the context of " .. phase .. "_by_lua%*", r.err)
      r = request { phase = phase, handler = function() ngx.exec("/") end }
      assert.matches("API disabled in the context of " .. phase .. "_by_lua%*", r.err)
    end
    assert.error_matches(function() ngx.location.capture("/") end, "API disabled in the context of ngx.timer")
  end)
end)
