local request = require "moongate.spec.request"

describe("D2 ngx.say and what else answers", function()
  it("D2 writes values, lists and null", function()
    local r = request { handler = function()
      ngx.print("a", 1, nil, true, ngx.null, { "x", { 2, false }, nil, "y" })
      ngx.say()
      assert.error_matches(function() ngx.say({ a = 1 }) end, "bad argument #1 to 'say' %(non%-array table found%)")
      assert.error_matches(function() ngx.print({ print }) end, "bad data type function found")
      assert.error_matches(function() ngx.say(1, print) end, "but got function")
      assert.equal(1, ngx.flush(true))
      assert.error_matches(function() ngx.flush(1) end, "boolean expected, got number")
      assert.error_matches(function() ngx.flush(true, 1) end, "attempt to pass 2 arguments, but accepted 0 or 1")
      assert.equal(1, ngx.eof())
      assert.same({ nil, "seen eof" }, { ngx.say("late") })
      assert.same({ nil, "seen eof" }, { ngx.eof() })
      assert.error_matches(function() ngx.eof(1) end, "no argument is expected")
    end }
    assert.same({ "done", nil, 200, "a1niltruenullx2falsenily\n" }, { r.ended, r.err, r.status, r.body })
  end)

  it("D2 has nothing to flush before, and no body for HEAD", function()
    request { handler = function()
      assert.same({ nil, "nothing to flush" }, { ngx.flush() })
      assert.equal(1, ngx.send_headers())
      assert.is_true(ngx.headers_sent)
    end }
    local r = request { method = "HEAD", handler = function()
      assert.equal(1, ngx.say("a"))
      assert.same({ nil, "header only" }, { ngx.say("b") })
      assert.same({ nil, "header only" }, { ngx.flush() })
    end }
    assert.is_nil(r.err)
  end)

  it("D2 redirects and exits", function()
    local r = request { handler = function() ngx.redirect("/there", 301) end }
    assert.same({ "exit", 301, "/there" }, { r.ended, r.code, r.headers.location })
    r = request { handler = function()
      assert.error_matches(function() ngx.redirect("/a", 200) end, "only ngx.HTTP_MOVED_TEMPORARILY, ")
      assert.error_matches(function() ngx.redirect("/a\n") end, 'unsafe byte "0x0a" in redirect uri "/a\\x0A"')
      assert.error_matches(function() ngx.exit(ngx.AGAIN) end, "does not accept NGX_AGAIN or NGX_DONE")
      ngx.print("x")
      assert.error_matches(function() ngx.redirect("/a") end, "attempt to call ngx.redirect after sending out the headers")
      ngx.exit(404)
    end }
    assert.same({ "exit", 200, 200 }, { r.ended, r.code, r.status })
    r = request { phase = "log", handler = function() ngx.say("x") end }
    assert.matches("API disabled in the context of log_by_lua%*", r.err)
    r = request { phase = "body_filter", handler = function() ngx.exit(1) end }
    assert.matches("API disabled in the context of body_filter_by_lua%*", r.err)
  end)

  it("D2 ngx.arg is for body filters", function()
    local r = request { phase = "body_filter", handler = function()
      ngx.arg[1] = { "a", 1 }
      ngx.arg[2] = true
      return ngx.arg[1] .. tostring(ngx.arg[2])
    end }
    assert.equal("a1true", r.seen)
    r = request { handler = function() return ngx.arg[1] end }
    assert.matches("API disabled in the current context", r.err)
  end)

  it("D2 ngx.status and ngx.ctx follow the request", function()
    local r = request { handler = function()
      ngx.status = "201"
      ngx.ctx.a = 1
      ngx.ctx = { b = 2 }
      ngx.print("")
      ngx.status = 404
      return { ngx.status, ngx.ctx.a, ngx.ctx.b, ngx.is_subrequest }
    end }
    assert.same({ 201, nil, 2, false }, r.seen)
  end)
end)
