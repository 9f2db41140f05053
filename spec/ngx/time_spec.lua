describe("D4 times", function()
  it("D4 http_time and parse_http_time", function()
    assert.equal("Thu, 18 Nov 2010 11:27:35 GMT", ngx.http_time(1290079655))
    assert.equal("Thu, 01 Jan 1970 00:00:00 GMT", ngx.http_time(0))
    assert.equal("Thu, 01 Jan 1970 00:00:00 GMT", ngx.http_time(-5))
    for _, s in ipairs { "Thu, 18 Nov 2010 11:27:35 GMT", "Thursday, 18-Nov-10 11:27:35 GMT", "Thu Nov 18 11:27:35 2010",
                         "Thu, 18 Nov 2010 11:27:35" } do
      assert.equal(1290079655, ngx.parse_http_time(s))
    end
    assert.equal(784111777, ngx.parse_http_time("Sun Nov  6 08:49:37 1994"))
    assert.equal(784111777, ngx.parse_http_time("Sunday, 06-Nov-94 08:49:37 GMT"))
    for _, s in ipairs { "", "x", "Thu, 18 Nov 2010", "Thu, 31 Feb 2010 11:27:35 GMT", "Thu, 18 Xyz 2010 11:27:35 GMT",
                         "Thu, 18 Nov 2010 25:27:35 GMT", "18 Nov 2010" } do
      assert.is_nil(ngx.parse_http_time(s))
    end
  end)

  it("D4 cookie_time: four digits of a year from 2038 on", function()
    assert.equal("Thu, 18-Nov-10 11:27:35 GMT", ngx.cookie_time(1290079655))
    assert.equal("Thu, 31-Dec-37 23:59:59 GMT", ngx.cookie_time(2145916799))
    assert.equal("Fri, 01-Jan-2038 00:00:00 GMT", ngx.cookie_time(2145916800))
  end)

  it("D4 clocks", function()
    assert.matches("^%d%d%d%d%-%d%d%-%d%d$", ngx.today())
    assert.matches("^%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d$", ngx.localtime())
    assert.matches("^%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d$", ngx.utctime())
    assert.equal(ngx.time(), math.floor(ngx.time()))
    assert.is_true(math.abs(ngx.now() - os.time()) < 2)
    assert.is_nil(ngx.update_time())
    local now = ngx.now()
    local start = os.clock()
    repeat until os.clock() - start > 0.02
    assert.equal(now, ngx.now())
    assert.equal(math.floor(now), ngx.time())
    ngx.update_time()
    assert.is_true(ngx.now() >= now + 0.015)
    local time = require "resty.core.time"
    local before, before_ms = time.monotonic_time(), time.monotonic_msec()
    ngx.sleep(0.02)
    assert.is_true(time.monotonic_time() - before >= 0.019)
    assert.is_true(time.monotonic_msec() - before_ms >= 19)
    assert.is_true(time.monotonic_msec() - before_ms < 5000)
  end)

  it("D4 junk raises", function()
    for _, name in ipairs { "http_time", "cookie_time" } do
      for _, junk in ipairs { "12", true, {} } do
        assert.error_matches(function() ngx[name](junk) end, "number argument only")
      end
      assert.error_matches(function() ngx[name]() end, "number argument only")
    end
    assert.error_matches(function() ngx.parse_http_time(12) end, "string argument only")
    assert.error_matches(function() ngx.parse_http_time() end, "string argument only")
    assert.is_string(ngx.http_time(1e300))
    assert.is_string(ngx.cookie_time(0 / 0))
  end)
end)
