-- kong.service: phases, arguments, limits, messages, values.

local chain_pem, key_pem, other_pem
do
  local pkey = require "resty.openssl.pkey"
  local x509 = require "resty.openssl.x509"
  local name = require "resty.openssl.x509.name"

  local function certificate(key)
    local cert, subject = x509.new(), name.new()
    subject:add("CN", "spec.test")
    cert:set_pubkey(key)
    cert:set_subject_name(subject)
    cert:set_issuer_name(subject)
    cert:set_not_before(os.time() - 60)
    cert:set_not_after(os.time() + 3600)
    assert(cert:sign(key))
    return cert:to_PEM()
  end

  local one, two = pkey.new({ type = "EC", curve = "prime256v1" }), pkey.new({ type = "EC", curve = "prime256v1" })
  chain_pem, key_pem, other_pem = certificate(one), one:to_PEM("private"), two:to_PEM("private")
end

local PHASES = {
  init_worker = 0x1, certificate = 0x2, rewrite = 0x10, access = 0x20, balancer = 0x40, response = 0x80,
  header_filter = 0x200, body_filter = 0x400, log = 0x2000, preread = 0x4000, admin_api = 0x10000000,
}

local EARLY = { rewrite = true, access = true, balancer = true, preread = true }
local ACCESS = { access = true }

-- The functions, good arguments, and where each may be called.
local FUNCTIONS = {
  set_upstream = { { "spec-nobody" }, ACCESS, "access" },
  set_target = { { "host.test", 80 }, EARLY, "rewrite, access, balancer, preread" },
  set_target_retry_callback = { { function() end }, ACCESS, "access" },
  set_retries = { { 1 }, ACCESS, "access" },
  set_timeouts = { { 1, 2, 3 }, ACCESS, "access" },
  set_tls_cert_key = { { 1LL, 1LL }, EARLY, "rewrite, access, balancer, preread" },
  set_tls_verify = { { true }, EARLY, "rewrite, access, balancer, preread" },
  set_tls_verify_depth = { { 1 }, EARLY, "rewrite, access, balancer, preread" },
  set_tls_verify_store = { { require("resty.openssl.x509.store").new() }, EARLY,
                           "rewrite, access, balancer, preread" },
}

describe("C1 kong.service", function()
  local service = kong.service

  local function phase(name)
    ngx.ctx.KONG_PHASE = PHASES[name]
  end

  before_each(function()
    phase "access"
  end)

  after_each(function()
    ngx.ctx.KONG_PHASE = nil
  end)

  -- The message of the error that a call raises, without the position.
  local function raised(name, ...)
    local ok, err = pcall(service[name], ...)
    assert.is_false(ok)
    assert.equal("string", type(err))
    return (err:gsub("^[^ ]-:%d+: ", ""))
  end

  it("has nine functions and two tables", function()
    local names = {}
    for name, value in pairs(service) do
      names[#names + 1] = type(value) == "function" and name or nil
    end
    assert.equal(9, #names)
    assert.equal("table", type(service.request))
    assert.equal("table", type(service.response))
  end)

  it("checks the phase first", function()
    for name, known in pairs(FUNCTIONS) do
      for where in pairs(PHASES) do
        phase(where)
        local ok, err = pcall(service[name], unpack(known[1]))
        if known[2][where] then
          assert.is_true(ok, name .. " in " .. where .. ": " .. tostring(err))
        else
          assert.is_false(ok, name .. " in " .. where)
          assert.matches("function cannot be called in " .. where .. " phase (only in: ", err, nil, true)
          for accepted in known[3]:gmatch("%w+") do
            assert.matches(accepted, err, nil, true)
          end
        end
      end
      phase "log"
      local _, err = pcall(service[name])
      assert.matches("function cannot be called in log phase", err, nil, true)
    end
  end)

  it("raises for hosts and functions that are none", function()
    for _, junk in ipairs { 1, true, {}, print, ngx.null, 1LL } do
      assert.equal("host must be a string", raised("set_upstream", junk))
      assert.equal("host must be a string", raised("set_target", junk, 80))
    end
    assert.equal("host must be a string", raised("set_upstream"))
    assert.equal("host must be a string", raised("set_target"))
    for _, junk in ipairs { 1, true, {}, "f", setmetatable({}, { __call = print }) } do
      assert.equal("retry_callback must be a function", raised("set_target_retry_callback", junk))
    end
    assert.equal("retry_callback must be a function", raised("set_target_retry_callback"))
  end)

  it("takes integers in their limits", function()
    local function number(what, least, most, call)
      for _, junk in ipairs { "80", 1.5, true, {}, 0 / 0, least + 0.25 } do
        assert.equal(what .. " must be an integer", call(junk))
      end
      assert.equal(what .. " must be an integer", call(nil))
      for _, far in ipairs { least - 1, most + 1, -1e300, math.huge, -math.huge } do
        assert.equal(what .. " must be an integer between " .. least .. " and " .. most .. ": given " .. far,
                     call(far))
      end
    end

    number("port", 0, 65535, function(v) return raised("set_target", "host.test", v) end)
    number("retries", 0, 32767, function(v) return raised("set_retries", v) end)
    number("connect_timeout", 1, 2147483646, function(v) return raised("set_timeouts", v, 1, 1) end)
    number("write_timeout", 1, 2147483646, function(v) return raised("set_timeouts", 1, v, 1) end)
    number("read_timeout", 1, 2147483646, function(v) return raised("set_timeouts", 1, 1, v) end)
    -- the first that is wrong is named
    assert.equal("connect_timeout must be an integer", raised("set_timeouts", "x", "y", "z"))
    assert.equal("write_timeout must be an integer between 1 and 2147483646: given 0", raised("set_timeouts", 1, 0, "z"))
  end)

  it("returns nothing from what cannot fail", function()
    for _, call in ipairs {
      { "set_target", "host.test", 0 }, { "set_target", "host.test", 65535 }, { "set_target", "", 80 },
      { "set_retries", 0 }, { "set_retries", 32767 },
      { "set_timeouts", 1, 1, 1 }, { "set_timeouts", 2147483646, 2147483646, 2147483646 },
      { "set_target_retry_callback", print },
    } do
      assert.equal(0, select("#", service[call[1]](unpack(call, 2))), call[1])
    end
  end)

  it("says that an Upstream is not there", function()
    local ok, err = service.set_upstream("spec-nobody")
    assert.is_nil(ok)
    assert.equal("could not find an Upstream named 'spec-nobody'", err)
  end)

  it("keeps what it was told in ngx.ctx.balancer_data", function()
    local callback = function() end
    service.set_target_retry_callback(callback)
    local data = ngx.ctx.balancer_data
    assert.equal(callback, data.retry_callback)
    service.set_target("data.test", 8443)
    service.set_retries(9)
    service.set_timeouts(11, 12, 13)
    assert.same({ "data.test", 8443, 9, 11, 12, 12, 13 },
                { data.host, data.port, data.retries, data.connect_timeout, data.send_timeout, data.write_timeout,
                  data.read_timeout })
    ngx.ctx.balancer_data = nil
  end)

  describe("tls", function()
    local ssl = require "ngx.ssl"

    it("wants cdata", function()
      for _, junk in ipairs { 1, "x", true, {}, print } do
        assert.equal("chain must be a parsed cdata object", raised("set_tls_cert_key", junk, 1LL))
        assert.equal("key must be a parsed cdata object", raised("set_tls_cert_key", 1LL, junk))
      end
      assert.equal("chain must be a parsed cdata object", raised("set_tls_cert_key"))
      assert.equal("key must be a parsed cdata object", raised("set_tls_cert_key", 1LL))
    end)

    it("takes a chain and its key, and nothing else", function()
      local chain, key = assert(ssl.parse_pem_cert(chain_pem)), assert(ssl.parse_pem_priv_key(key_pem))
      assert.is_true(service.set_tls_cert_key(chain, key))
      local function refused(...)
        local ok, err = service.set_tls_cert_key(...)
        assert.is_nil(ok)
        assert.matches("error while setting upstream client cert and key", err, nil, true)
        return err
      end
      assert.matches("mismatch", refused(chain, assert(ssl.parse_pem_priv_key(other_pem))), nil, true)
      refused(key, chain)
      refused(chain, chain)
      refused(1LL, key)
      refused(chain, require("ffi").new("double[2]"))
      refused(require("resty.openssl.x509.chain").new().ctx, key)
      local x509, pkey = require "resty.openssl.x509", require "resty.openssl.pkey"
      assert.is_true(service.set_tls_cert_key(x509.new(chain_pem).ctx, pkey.new(key_pem).ctx))
      -- a public key presents nothing
      refused(chain, x509.new(chain_pem):get_pubkey().ctx)
    end)

    it("takes a boolean, a depth, a store", function()
      assert.is_true(service.set_tls_verify(true))
      assert.is_true(service.set_tls_verify(false))
      for _, junk in ipairs { 1, "true", {}, ngx.null } do
        assert.equal("argument must be a boolean", raised("set_tls_verify", junk))
      end
      assert.equal("argument must be a boolean", raised("set_tls_verify"))
      for _, depth in ipairs { 0, 1, 3.7, 1e300, math.huge } do
        assert.is_true(service.set_tls_verify_depth(depth))
      end
      assert.equal("argument must be a number", raised("set_tls_verify_depth", "1"))
      assert.equal("argument must be a number", raised("set_tls_verify_depth"))
      assert.equal("depth expects a non-negative integer but found -1", raised("set_tls_verify_depth", -1))
      local store = require("resty.openssl.x509.store").new()
      assert.is_true(service.set_tls_verify_store(store))
      store:add(require("resty.openssl.x509").new(chain_pem))
      assert.is_true(service.set_tls_verify_store(store))
      for _, junk in ipairs { 1, "store", true, store.ctx } do
        assert.equal("argument must be a resty.openssl.x509.store object", raised("set_tls_verify_store", junk))
      end
      assert.equal("store expects a resty.openssl.x509.store object but found table",
                   raised("set_tls_verify_store", {}))
    end)
  end)

  it("switches TLS between tries only", function()
    for _, name in ipairs { "disable_tls", "enable_tls" } do
      local _, err = pcall(service.request[name])
      assert.matches("function cannot be called in access phase (only in: ", err, nil, true)
      phase "balancer"
      assert.is_true(service.request[name]())
      phase "access"
    end
  end)
end)
