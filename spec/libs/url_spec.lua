local ada = require("resty.ada")
local pool = require("tablepool")
local log = require("resty.kong.log")

describe("D1 resty.ada", function()
  local URL = "https://user:pass@Example.com:8080/a/../b?x=1#top"

  it("D1 reads a URL, in its canonical form", function()
    local url = ada.parse(URL)
    assert.equal("https://user:pass@example.com:8080/b?x=1#top", url:get_href())
    assert.equal(url:get_href(), tostring(url))
    local parts = {
      origin = "https://example.com:8080", protocol = "https:", username = "user", password = "pass",
      host = "example.com:8080", hostname = "example.com", port = "8080", pathname = "/b", search = "?x=1", hash = "#top",
    }
    for part, value in pairs(parts) do
      assert.equal(value, url["get_" .. part](url), part)
      assert.equal(value, ada["get_" .. part](URL), part)
    end
    assert.is_true(url:is_valid())
    assert.is_true(url:has_port())
    assert.is_false(ada.parse("http://a/"):has_search())
    assert.same({ 0, 1, 2 }, {
      url:get_host_type(), ada.parse("http://127.1/"):get_host_type(), ada.parse("http://[::1]/"):get_host_type(),
    })
  end)

  it("D1 sets parts, one after the other", function()
    local url = ada.parse("http://a/b?c#d")
    assert.equal("https://h:81/p%20q?r", url:set_protocol("https"):set_host("h:81"):set_pathname("/p q")
      :set_search("r"):set_hash(""):get_href())
    assert.equal("https://h/p%20q", url:clear_port():clear_search():clear_hash():get_href())
    assert.equal("https://u:p@other/", url:set_href("https://other"):set_username("u"):set_password("p"):get_href())
    assert.equal("http://a/new", ada.set_pathname("http://a/old", "new"))
    assert.same({ nil, "unable to set port" }, { ada.parse("file:///x"):set_port("80") })
    assert.same({ nil, "unable to set href" }, { url:set_href("no") })
  end)

  it("D1 relative ones, comparing, refusing", function()
    assert.equal("http://a/c", ada.parse_with_base("../c", "http://a/b/"):get_href())
    assert.same({ nil, "invalid url" }, { ada.parse("<junk>") })
    assert.same({ nil, "invalid url or base" }, { ada.parse_with_base("x", "y") })
    assert.is_true(ada.can_parse("http://a"))
    assert.is_false(ada.can_parse("a"))
    assert.is_true(ada.can_parse("a", "http://b"))
    assert.is_true(ada.parse("http://a") == ada.parse("http://A/"))
    assert.is_true(ada.parse("http://a") < ada.parse("http://b"))
    assert.is_true(ada.parse("http://a") <= ada.parse("http://a"))
    assert.error_matches(function() ada.parse(1) end, "string expected, got number")
  end)
end)

describe("D1 tablepool", function()
  it("D1 gives tables back, emptied", function()
    local t = pool.fetch("spec", 2, 2)
    t[1], t.a = 1, 2
    setmetatable(t, { __index = { b = 3 } })
    pool.release("spec", t)
    assert.is_nil(next(t))
    assert.is_nil(getmetatable(t))
    assert.equal(t, pool.fetch("spec", 0, 0))
    assert.not_equal(t, pool.fetch("spec", 0, 0))
    t.kept = true
    pool.release("spec", t, true)
    assert.is_true(pool.fetch("spec", 0, 0).kept)
    assert.error_matches(function() pool.release("spec") end, "object empty")
  end)

  it("D1 keeps no more than it should", function()
    for i = 1, 300 do
      pool.release("spec many", { i })
    end
    local seen, n = {}, 0
    for _ = 1, 300 do
      local t = pool.fetch("spec many", 0, 0)
      if t ~= nil and next(t) == nil and not seen[t] then
        n, seen[t] = n + 1, true
      end
    end
    assert.equal(300, n)
  end)
end)

describe("D1 resty.kong.log", function()
  it("D1 tells and changes the level", function()
    local before = log.get_log_level()
    assert.is_number(before)
    finally(function() log.set_log_level(before, 0) end)
    assert.is_true(log.set_log_level(ngx.CRIT, 0.05))
    local now, left, configured = log.get_log_level()
    assert.same({ ngx.CRIT, before }, { now, configured })
    assert.is_true(left > 0 and left <= 0.05)
    ngx.sleep(0.1)
    assert.equal(before, (log.get_log_level()))
    log.set_log_level(ngx.DEBUG, 0)
    assert.same({ ngx.DEBUG, 0, ngx.DEBUG }, { log.get_log_level() })
    for _, junk in ipairs { -1, 9, "x", false } do
      assert.error_matches(function() log.set_log_level(junk, 0) end, "invalid log level")
    end
    assert.error_matches(function() log.set_log_level(ngx.ERR, -1) end, "timeout must be greater than or equal to 0")
  end)
end)
