local Schema = require "kong.db.schema"
local typedefs = require "kong.db.schema.typedefs"

local function judge(typedef, value)
  local schema = assert(Schema.new { name = "one", fields = { { f = typedef } } })
  local ok, errs = schema:validate { f = value }
  return ok, errs and errs.f
end

-- What each type takes, and what it says of what it doesn't.
local function judges(name, cases)
  it(name, function()
    for _, value in ipairs(cases.takes or {}) do
      local ok, err = judge(typedefs[name], value)
      assert(ok, name .. " refuses " .. tostring(value) .. ": " .. tostring(err))
    end
    for value, message in pairs(cases.refuses or {}) do
      local ok, err = judge(typedefs[name], value)
      assert(not ok, name .. " takes " .. tostring(value))
      assert.equal(message, type(err) == "table" and err[1] or err)
    end
  end)
end

describe("B1 typedefs: hosts", function()
  judges("host", {
    takes = { "example.com", "a_b.c-d", "127.0.0.1", "::1", "[::1]", "example.com." },
    refuses = {
      ["example.com:80"] = "must not have a port",
      ["example.com:99999"] = "must not have a port",
      ["1.2.3.4:80"] = "must not have a port",
      ["a b"] = "invalid value: a b",
      ["a..b"] = "invalid value: a..b",
      ["a-.b"] = "invalid value: a-.b",
      ["1.2.3"] = "invalid value: 1.2.3",
      ["a:b:c"] = "invalid value: a:b:c",
    },
  })
  judges("host_with_optional_port", {
    takes = { "example.com:80", "1.2.3.4:80", "[::1]:80", "example.com" },
    refuses = {
      ["example.com:99999"] = "invalid port number",
      ["b@d"] = "invalid hostname: b@d",
      ["1.2.3.999"] = "invalid ipv4 address: 1.2.3.999",
      ["[::x]:80"] = "invalid ipv6 address: [::x]:80",
    },
  })
  judges("wildcard_host", {
    takes = { "*.example.com", "example.*", "example.com" },
    refuses = {
      ["a.*.com"] = "wildcard must be leftmost or rightmost character",
      ["*.example.*"] = "only one wildcard must be specified",
      ["*.example.com:80"] = "must not have a port",
      ["1.2.3.4"] = "must not be an IP",
      ["*..com"] = "invalid value: wildcard..com",
    },
  })
  judges("sni", {
    takes = { "example.com" },
    refuses = {
      ["1.2.3.4"] = "must not be an IP",
      ["1.2.3.4:80"] = "must not be an IP",
      ["example.com:1"] = "must not have a port",
      ["a b"] = "invalid value: a b",
    },
  })
  judges("ip", {
    takes = { "1.2.3.4", "::1", "fe80::1" },
    refuses = { ["x"] = "not an ip address: x", ["1.2.3.4/8"] = "not an ip address: 1.2.3.4/8" },
  })
  judges("ip_or_cidr", {
    takes = { "1.2.3.4", "10.0.0.0/8", "fe80::/10", "0.0.0.0/0" },
    refuses = {
      ["10.0.0.0/33"] = "invalid ip or cidr range: '10.0.0.0/33'",
      ["10.0.0.0/08"] = "invalid ip or cidr range: '10.0.0.0/08'",
      ["::/129"] = "invalid ip or cidr range: '::/129'",
    },
  })
  judges("cidr_v4", {
    takes = { "1.2.3.4", "10.0.0.0/8" },
    refuses = { ["::1"] = "invalid ipv4 cidr range: '::1'" },
  })
  judges("url", {
    takes = { "https://example.com/a?b=c" },
    refuses = { ["/a"] = "missing host in url", ["//example.com"] = "missing scheme in url" },
  })
  judges("port", {
    takes = { 0, 65535 },
    refuses = { [65536] = "value should be between 0 and 65535", [1.5] = "expected an integer" },
  })

  it("know which protocols are HTTP's", function()
    assert.same({ "grpc", "grpcs", "http", "https" }, typedefs.protocols_http.default)
    assert.same(typedefs.protocols_http.default, typedefs.protocols.default)
    local _, err = judge(typedefs.protocol, "ftp")
    assert.equal("expected one of: grpc, grpcs, http, https, tcp, tls, tls_passthrough, udp", err)
  end)
end)

describe("B1 typedefs: names", function()
  judges("name", {
    takes = { "a.b-c_d~9" },
    refuses = {
      ["a b"] = "invalid value 'a b': it must only contain alphanumeric and '., -, _, ~' characters",
      ["é"] = "invalid value 'é': it must only contain alphanumeric and '., -, _, ~' characters",
    },
  })
  judges("utf8_name", {
    takes = { "a.b-c_d~9", "é", "円" },
    refuses = {
      ["a b"] = "invalid value 'a b': the only accepted ascii characters are alphanumerics or ., -, _, and ~",
      ["a\255"] = "invalid utf-8 character sequence detected at position 2",
    },
  })
  judges("tag", {
    takes = { "a", "a b!", "円", "~" },
    refuses = {
      ["a,b"] = "invalid tag 'a,b': expected printable ascii (except `,` and `/`) or valid utf-8 sequences",
      ["a/b"] = "invalid tag 'a/b': expected printable ascii (except `,` and `/`) or valid utf-8 sequences",
      ["a\t"] = "invalid tag 'a\t': expected printable ascii (except `,` and `/`) or valid utf-8 sequences",
      ["\255"] = "invalid utf-8 character sequence detected at position 1",
    },
  })
  judges("header_name", {
    takes = { "X-A_1" },
    refuses = { ["a:b"] = "bad header name 'a:b', allowed characters are A-Z, a-z, 0-9, '_', and '-'" },
  })
  judges("http_method", { takes = { "GET", "PURGE" }, refuses = { ["get"] = "invalid value: get" } })
  judges("semantic_version", {
    takes = { "1", "1.2.3-rc.1" },
    refuses = {
      ["v1"] = "invalid version number: must be in format of X.Y.Z",
      ["1..2"] = "must not have empty version segments",
    },
  })
end)

describe("B1 typedefs: paths and other criteria of routes", function()
  judges("path", {
    takes = { "/", "/a/b;c=%20" },
    refuses = {
      ["a"] = "should start with: /",
      ["//a"] = "must not have empty segments",
      ["/a b"] = "invalid path: '/a b' (characters outside of the reserved list of RFC 3986 found)",
      ["/a%2"] = "invalid url-encoded value: '%2'",
      ["/a%zzb"] = "invalid url-encoded value: '%zz'",
    },
  })
  judges("router_path", {
    takes = { "/", "/a", "/é", "~/a/\\d+$", "~/(?<name>a)" },
    refuses = {
      ["a"] = "should start with: / (fixed path) or ~/ (regex path)",
      ["/a//b"] = "must not have empty segments",
      ["/a/../b"] = "non-normalized path, consider use '/b' instead",
      ["/%61"] = "non-normalized path, consider use '/a' instead",
      ["/a%2"] = "invalid url-encoded value: '%2'",
    },
  })

  it("say what PCRE says of a regular expression", function()
    local _, err = judge(typedefs.router_path, "~/[a")
    assert.matches("^invalid regex: '/%[a' %(PCRE returned: pcre2_compile%(%) failed: missing terminating %]", err)
  end)

  judges("hosts", {
    takes = { { "a.com", "*.a.com", "a.*", "a.com:80", "*.a.com:80" } },
  })

  it("take one wildcard in a host, at an end", function()
    local message = "invalid wildcard: must be placed at leftmost or rightmost label"
    local _, err = judge(typedefs.hosts, { "ok.com", "a*.com" })
    assert.same({ nil, message }, err)
    _, err = judge(typedefs.hosts, { "*.a.*" })
    assert.same({ "invalid wildcard: must have at most one wildcard" }, err)
    _, err = judge(typedefs.hosts, { "a b" })
    assert.same({ "invalid hostname: a b" }, err)
  end)

  it("take an address, a port or both as source and destination", function()
    assert(judge(typedefs.sources, { { ip = "10.0.0.0/8" }, { port = 80 }, { ip = "::1", port = 1 } }))
    local _, err = judge(typedefs.destinations, { {} })
    assert.same({ { ["@entity"] = { "at least one of these fields must be non-empty: 'ip', 'port'" } } }, err)
  end)

  it("have a type that takes nothing, for each", function()
    for _, name in ipairs { "paths", "hosts", "methods", "sources", "destinations" } do
      local typedef = typedefs["no_" .. name]
      assert(judge(typedef, ngx.null))
      local _, err = judge(typedef, {})
      assert.equal("value must be null", err)
    end
    for _, name in ipairs { "consumer", "route", "service" } do
      local typedef = typedefs["no_" .. name]
      assert.equal(name .. "s", typedef.reference)
      assert.equal(ngx.null, typedef.eq)
    end
  end)
end)

describe("B1 typedefs: certificates and keys", function()
  local pkey = require "resty.openssl.pkey"
  local x509 = require "resty.openssl.x509"

  local function new_key()
    return pkey.new { type = "EC", curve = "prime256v1" }
  end

  it("take what can be loaded", function()
    local key = new_key()
    local cert = x509.new()
    cert:set_pubkey(key)
    cert:sign(key)
    assert(judge(typedefs.certificate, cert:to_PEM()))
    assert(judge(typedefs.key, key:to_PEM("private")))
    local _, err = judge(typedefs.certificate, "no")
    assert.matches("^invalid certificate: ", err)
    _, err = judge(typedefs.key, "no")
    assert.matches("^invalid key: ", err)
  end)

  it("take keys that fit each other", function()
    local key, other = new_key(), new_key()
    assert(judge(typedefs.pem, { public_key = key:to_PEM("public"), private_key = key:to_PEM("private") }))
    local _, err = judge(typedefs.pem, {
      public_key = other:to_PEM("public"),
      private_key = key:to_PEM("private"),
    })
    assert.equal("public key does not match private key", err)
    _, err = judge(typedefs.pem, { public_key = key:to_PEM("private") })
    assert.equal("could not load public key", err)
  end)
end)

describe("B1 typedefs", function()
  it("may be called with what should differ", function()
    local port = typedefs.port { default = 6379 }
    assert.equal(6379, port.default)
    assert.same({ 0, 65535 }, port.between)
    assert.equal(nil, typedefs.port.default)
    assert.equal(false, typedefs.uuid({ auto = false }).auto)
  end)

  it("say that one does not exist", function()
    assert.error_matches(function()
      return typedefs.nothing
    end, "schema typedef error: definition nothing does not exist")
  end)

  it("know the formats of traces", function()
    assert(judge(typedefs.propagation, { extract = { "b3", "w3c" }, inject = { "preserve" }, default_format = "ot" }))
    local _, err = judge(typedefs.propagation, { extract = { "b3-single" }, default_format = "ot" })
    assert.matches("^expected one of: ", err.extract[1])
  end)

  it("of queues have their defaults", function()
    local schema = assert(Schema.new { name = "q", fields = { { queue = typedefs.queue { required = true } } } })
    assert.same({
      max_batch_size = 1,
      max_coalescing_delay = 1,
      max_entries = 10000,
      max_bytes = ngx.null,
      max_retry_time = 60,
      initial_retry_delay = 0.01,
      max_retry_delay = 60,
      concurrency_limit = 1,
    }, schema:process_auto_fields({}, "insert").queue)
  end)
end)
