-- ngx's constants: nginx's own numbers.

local METHODS = {
  HTTP_GET = 2, HTTP_HEAD = 4, HTTP_POST = 8, HTTP_PUT = 16, HTTP_DELETE = 32, HTTP_MKCOL = 64, HTTP_COPY = 128,
  HTTP_MOVE = 256, HTTP_OPTIONS = 512, HTTP_PROPFIND = 1024, HTTP_PROPPATCH = 2048, HTTP_LOCK = 4096,
  HTTP_UNLOCK = 8192, HTTP_PATCH = 16384, HTTP_TRACE = 32768,
}

local STATUSES = {
  HTTP_CONTINUE = 100, HTTP_SWITCHING_PROTOCOLS = 101, HTTP_OK = 200, HTTP_CREATED = 201, HTTP_ACCEPTED = 202,
  HTTP_NO_CONTENT = 204, HTTP_PARTIAL_CONTENT = 206, HTTP_SPECIAL_RESPONSE = 300, HTTP_MOVED_PERMANENTLY = 301,
  HTTP_MOVED_TEMPORARILY = 302, HTTP_SEE_OTHER = 303, HTTP_NOT_MODIFIED = 304, HTTP_TEMPORARY_REDIRECT = 307,
  HTTP_PERMANENT_REDIRECT = 308, HTTP_BAD_REQUEST = 400, HTTP_UNAUTHORIZED = 401, HTTP_PAYMENT_REQUIRED = 402,
  HTTP_FORBIDDEN = 403, HTTP_NOT_FOUND = 404, HTTP_NOT_ALLOWED = 405, HTTP_NOT_ACCEPTABLE = 406,
  HTTP_REQUEST_TIMEOUT = 408, HTTP_CONFLICT = 409, HTTP_GONE = 410, HTTP_UPGRADE_REQUIRED = 426,
  HTTP_TOO_MANY_REQUESTS = 429, HTTP_CLOSE = 444, HTTP_ILLEGAL = 451, HTTP_INTERNAL_SERVER_ERROR = 500,
  HTTP_NOT_IMPLEMENTED = 501, HTTP_METHOD_NOT_IMPLEMENTED = 501, HTTP_BAD_GATEWAY = 502,
  HTTP_SERVICE_UNAVAILABLE = 503, HTTP_GATEWAY_TIMEOUT = 504, HTTP_VERSION_NOT_SUPPORTED = 505,
  HTTP_INSUFFICIENT_STORAGE = 507,
}

local RESULTS = { OK = 0, ERROR = -1, AGAIN = -2, DONE = -4, DECLINED = -5 }

local LEVELS = {
  STDERR = 0, EMERG = 1, ALERT = 2, CRIT = 3, ERR = 4, WARN = 5, NOTICE = 6, INFO = 7, DEBUG = 8,
}

local request = require "moongate.spec.request"

describe("D2 ngx's constants", function()
  for what, list in pairs { methods = METHODS, statuses = STATUSES, results = RESULTS, levels = LEVELS } do
    it("D2 " .. what, function()
      for name, value in pairs(list) do
        assert.equal(value, ngx[name], name)
      end
    end)
  end

  it("D2 there is one of each number, but for a name of 501 that is older", function()
    for _, list in ipairs { METHODS, STATUSES, RESULTS, LEVELS } do
      local seen = {}
      for name, value in pairs(list) do
        if value ~= 501 then
          assert.is_nil(seen[value], name)
        end
        seen[value] = name
      end
    end
  end)

  it("D2 methods are what ngx.req.set_method takes", function()
    request { steps = { { "access", function()
      for name, value in pairs(METHODS) do
        ngx.req.set_method(value)
        assert.equal(name:sub(6), ngx.req.get_method())
      end
    end } } }
  end)

  it("D2 ngx.null is a light userdata of its own", function()
    assert.equal("userdata", type(ngx.null))
    assert.equal("userdata: NULL", tostring(ngx.null))
    assert.equal(require("cjson").null, ngx.null)
    assert.is_true(ngx.null ~= nil)
  end)

  it("D2 ngx.config", function()
    assert.equal("http", ngx.config.subsystem)
    assert.is_false(ngx.config.debug)
    assert.equal("string", type(ngx.config.prefix()))
    assert.equal("/", ngx.config.prefix():sub(-1))
    assert.equal("string", type(ngx.config.nginx_configure()))
    -- what libraries look for: nginx 1.27.1, lua-nginx-module 0.10.28
    assert.equal(1027001, ngx.config.nginx_version)
    assert.equal(10028, ngx.config.ngx_lua_version)
  end)
end)
