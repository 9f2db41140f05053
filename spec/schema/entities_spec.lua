local UUID = "3a8d1e0c-5f0b-4f0e-9f0e-0a1b2c3d4e5f"

-- Schemas of entities are made once in a state, references first; here for a router flavor, and as the gateway
-- makes them: routes have the schemas of their protocols below them.
local function load_entities(flavor)
  _G.kong = _G.kong or {}
  kong.configuration = kong.configuration or {}
  local before = kong.configuration
  kong.configuration = setmetatable({ router_flavor = flavor }, { __index = before })
  package.loaded["kong.db.schema.entities.routes"] = nil
  package.loaded["kong.db.schema.entities.routes_subschemas"] = nil
  local Entity = require "kong.db.schema.entity"
  local schemas = {}
  for _, name in ipairs {
    "workspaces", "consumers", "certificates", "services", "routes", "snis", "upstreams", "targets", "plugins",
    "tags", "ca_certificates", "clustering_data_planes", "parameters", "vaults", "key_sets", "keys",
  } do
    schemas[name] = assert(Entity.new(require("kong.db.schema.entities." .. name)))
  end
  for protocol, subschema in pairs(require "kong.db.schema.entities.routes_subschemas") do
    assert(schemas.routes:new_subschema(protocol, subschema))
  end
  kong.configuration = before
  return schemas
end

local schemas = load_entities "traditional_compatible"

local function complete(entity, input, from)
  return (from or schemas)[entity]:process_auto_fields(input, "insert")
end

local function judge(entity, input, from)
  local done = assert(complete(entity, input, from))
  return (from or schemas)[entity]:validate_insert(done)
end

local function refused(entity, input, from)
  local ok, err = judge(entity, input, from)
  assert(not ok, entity .. " was taken")
  return err
end

-- What an entity is completed to, without what differs from one to the next.
local function defaults(entity, input)
  local done = complete(entity, input)
  for _, name in ipairs { "id", "created_at", "updated_at" } do
    done[name] = nil
  end
  for name, value in pairs(done) do
    if value == ngx.null then
      done[name] = nil
    end
  end
  return done
end

describe("B3 services", function()
  it("have defaults", function()
    assert.same({
      name = "s",
      host = "example.com",
      protocol = "http",
      port = 80,
      retries = 5,
      connect_timeout = 60000,
      read_timeout = 60000,
      write_timeout = 60000,
      enabled = true,
    }, defaults("services", { name = "s", host = "example.com" }))
  end)

  it("may be written as a URL", function()
    local done = complete("services", { url = "https://example.com/a" })
    assert.same({ "https", "example.com", 443, "/a" }, { done.protocol, done.host, done.port, done.path })
    done = complete("services", { url = "//example.com:443" })
    assert.same({ "https", "example.com", 443, ngx.null }, { done.protocol, done.host, done.port, done.path })
    done = complete("services", { url = "grpc://example.com" })
    assert.same({ "grpc", 80 }, { done.protocol, done.port })
  end)

  it("are refused with Kong's words", function()
    assert.same({
      host = "required field missing",
      retries = "value should be between 0 and 32767",
      connect_timeout = "value should be between 1 and 2147483646",
      path = "should start with: /",
      ca_certificates = { "expected a valid UUID" },
    }, refused("services", {
      protocol = "https", retries = -1, connect_timeout = 0, path = "a", ca_certificates = { "x" },
    }))
    local err = refused("services", { host = "h", protocol = "tcp", path = "/a" })
    assert.equal("value must be null", err.path)
    assert.same({ "failed conditional validation given value of field 'protocol'" }, err["@entity"])
    err = refused("services", { host = "h", protocol = "http", tls_verify = true, tls_verify_depth = 1 })
    assert.equal("value must be null", err.tls_verify)
    assert.equal("value must be null", err.tls_verify_depth)
  end)
end)

describe("B3 routes", function()
  it("have defaults", function()
    assert.same({
      paths = { "/a" },
      protocols = { "http", "https" },
      https_redirect_status_code = 426,
      strip_path = true,
      preserve_host = false,
      request_buffering = true,
      response_buffering = true,
      regex_priority = 0,
      path_handling = "v0",
    }, defaults("routes", { paths = { "/a" } }))
    assert.equal(false, complete("routes", { protocols = { "grpc" }, paths = { "/a" } }).strip_path)
  end)

  it("need something to match by", function()
    local function said(protocols)
      return refused("routes", { protocols = protocols })["@entity"][1]
    end
    assert.equal("must set one of 'methods', 'hosts', 'headers', 'paths' when 'protocols' is 'http'", said { "http" })
    assert.equal("must set one of 'methods', 'hosts', 'headers', 'paths', 'snis' when 'protocols' is 'https'",
      said { "https" })
    assert.equal("must set one of 'hosts', 'headers', 'paths' when 'protocols' is 'grpc'", said { "grpc" })
    assert.equal("must set one of 'sources', 'destinations', 'snis' when 'protocols' is 'tcp', 'tls' or 'udp'",
      said { "tcp" })
    assert.equal("must set snis when 'protocols' is 'tls_passthrough'", said { "tls_passthrough" })
  end)

  it("may not match by what their protocols do not have", function()
    assert.equal("cannot set 'sources' when 'protocols' is 'http' or 'https'",
      refused("routes", { paths = { "/" }, sources = { { port = 1 } } }).sources)
    assert.equal("cannot set 'paths' when 'protocols' is 'tcp', 'tls', 'tls_passthrough' or 'udp'",
      refused("routes", { protocols = { "tcp" }, sources = { { port = 1 } }, paths = { "/" } }).paths)
    assert.equal("cannot set 'methods' when 'protocols' is 'grpc' or 'grpcs'",
      refused("routes", { protocols = { "grpc" }, paths = { "/" }, methods = { "GET" } }).methods)
    assert.equal("cannot set 'strip_path' when 'protocols' is 'grpc' or 'grpcs'",
      refused("routes", { protocols = { "grpc" }, paths = { "/" }, strip_path = true }).strip_path)
    assert.same({ "'snis' can only be set when 'protocols' is 'grpcs', 'https', 'tls' or 'tls_passthrough'" },
      refused("routes", { protocols = { "http" }, paths = { "/" }, snis = { "a.com" } })["@entity"])
  end)

  it("are refused field by field", function()
    local err = refused("routes", {
      protocols = { "http", "tcp" },
      paths = { "/ok", "a" },
      hosts = { "a*b" },
      methods = { "get" },
      headers = { host = { "a" } },
      https_redirect_status_code = 200,
    })
    assert.equal("should start with: / (fixed path) or ~/ (regex path)", err.paths[2])
    assert.equal("invalid wildcard: must be placed at leftmost or rightmost label", err.hosts[1])
    assert.equal("invalid value: get", err.methods[1])
    assert.equal("cannot contain 'host' header, which must be specified in the 'hosts' attribute", err.headers)
    assert.equal("expected one of: 426, 301, 302, 307, 308", err.https_redirect_status_code)
    assert.equal("these sets are mutually exclusive: ('http', 'https'), ('tcp', 'tls', 'udp')", err.protocols)
  end)

  it("may only have regular expressions that the router can match", function()
    assert(judge("routes", { paths = { "~/a/(?<id>\\d+)$" }, headers = { ["x-a"] = { "~*^v\\d" } } }))
    local err = refused("routes", { paths = { "~/a(?!b)" } })["@entity"][1]
    assert.equal("Router Expression failed validation:  --> 1:14", err:match("^[^\n]*"))
    assert.matches("1 | (http.path ~ r#\"^/a(?!b)\"#)", err, 1, true)
    assert.matches("look-around, including look-ahead and look-behind, is not supported", err, 1, true)
    err = refused("routes", { paths = { "/" }, headers = { ["X-A"] = { "~*a(?!b)" } } })["@entity"][1]
    assert.matches('any(lower(http.headers.x_a)) ~ r#"a(?!b)"#', err, 1, true)
  end)

  it("may only have addresses that the router can match", function()
    local function stream(ip)
      return { protocols = { "tcp" }, sources = { { ip = ip } } }
    end
    for _, ip in ipairs { "1.2.3.4", "1.2.3.4/16", "0.0.0.0/0", "::1", "fe80::/10" } do
      assert(judge("routes", stream(ip)))
    end
    assert.matches("net.src.ip in fe80::1/10", refused("routes", stream "fe80::1/10")["@entity"][1], 1, true)
  end)
end)

describe("B3 routes with expressions", function()
  local with = load_entities "expressions"

  it("match by them alone", function()
    assert(judge("routes", { expression = 'http.path ^= "/a"', priority = 5 }, with))
    assert(judge("routes", { paths = { "/a" } }, with))
    assert(judge("routes", { paths = { "/a" }, sources = { { port = 1 } } }, with))
    local function said(route)
      return refused("routes", route, with)["@entity"][1]
    end
    assert.equal("Router Expression failed validation: cannot set 'expression' with 'methods', 'hosts', 'paths', "
      .. "'headers', 'snis', 'sources' or 'destinations' simultaneously",
      said { expression = 'http.path ^= "/a"', paths = { "/a" } })
    assert.equal("Router Expression failed validation: cannot set 'regex_priority' with 'expression' simultaneously",
      said { expression = 'http.path ^= "/a"', regex_priority = 1 })
    assert.equal("Router Expression failed validation: cannot set 'priority' with 'methods', 'hosts', 'paths', "
      .. "'headers', 'snis', 'sources' or 'destinations' simultaneously", said { paths = { "/a" }, priority = 1 })
  end)

  it("are refused with what is wrong in them", function()
    local function said(expression, protocols)
      return refused("routes", { expression = expression, protocols = protocols }, with)["@entity"][1]
    end
    local head = "Router Expression failed validation: "
    assert.equal(head .. "Unknown LHS field", said 'http.nothing == "a"')
    assert.equal(head .. "Unknown LHS field", said('http.path == "a"', { "tcp" }))
    assert.equal(head .. "Type mismatch between the LHS and RHS values of predicate", said "http.path == 1")
    assert.equal(head .. "illformed http.path.segments.* field", said 'http.path.segments.2_1 == "a"')
    assert.matches(head .. " --> 1:", said 'http.path ==', 1, true)
  end)
end)

describe("B3 consumers", function()
  it("have a name of one kind", function()
    assert.same({ username = "u" }, defaults("consumers", { username = "u" }))
    assert(judge("consumers", { custom_id = "c" }))
    assert.same({ ["@entity"] = { "at least one of these fields must be non-empty: 'custom_id', 'username'" } },
      refused("consumers", {}))
  end)
end)

describe("B3 plugins", function()
  it("say that one is not enabled", function()
    assert.equal("plugin 'nothing' not enabled; add it to the 'plugins' configuration property",
      refused("plugins", { name = "nothing" }).name)
  end)

  it("are for everything unless they say for what, and enabled", function()
    local done = complete("plugins", { name = "nothing" })
    assert.same({ ngx.null, ngx.null, ngx.null, true },
      { done.route, done.service, done.consumer, done.enabled })
    assert.same({ "grpc", "grpcs", "http", "https" }, { unpack(done.protocols) })
  end)
end)

describe("B3 upstreams", function()
  it("have defaults", function()
    assert.same({
      name = "u",
      algorithm = "round-robin",
      hash_on = "none",
      hash_fallback = "none",
      hash_on_cookie_path = "/",
      slots = 10000,
      use_srv_name = false,
      healthchecks = {
        threshold = 0,
        active = {
          type = "http",
          timeout = 1,
          concurrency = 10,
          http_path = "/",
          https_sni = ngx.null,
          https_verify_certificate = true,
          headers = ngx.null,
          healthy = { interval = 0, http_statuses = { 200, 302 }, successes = 0 },
          unhealthy = {
            interval = 0,
            http_statuses = { 429, 404, 500, 501, 502, 503, 504, 505 },
            tcp_failures = 0,
            timeouts = 0,
            http_failures = 0,
          },
        },
        passive = {
          type = "http",
          healthy = {
            http_statuses = {
              200, 201, 202, 203, 204, 205, 206, 207, 208, 226,
              300, 301, 302, 303, 304, 305, 306, 307, 308,
            },
            successes = 0,
          },
          unhealthy = { http_statuses = { 429, 500, 503 }, tcp_failures = 0, timeouts = 0, http_failures = 0 },
        },
      },
    }, defaults("upstreams", { name = "u" }))
  end)

  it("hash and balance accordingly", function()
    assert.equal("consistent-hashing", complete("upstreams", { name = "u", hash_on = "ip" }).algorithm)
    assert.equal("none", complete("upstreams", { name = "u", algorithm = "least-connections" }).hash_on)
    assert.same({ ["@entity"] = { "failed conditional validation given value of field 'hash_on'" },
      hash_on_header = "required field missing" }, refused("upstreams", { name = "u", hash_on = "header" }))
    assert.same({ ["@entity"] = { "values of these fields must be distinct: 'hash_on_header', 'hash_fallback_header'" } },
      refused("upstreams", {
        name = "u", hash_on = "header", hash_fallback = "header", hash_on_header = "a", hash_fallback_header = "a",
      }))
  end)

  it("have a name, not an address", function()
    assert.equal("Invalid name ('1.2.3.4'); no ip addresses allowed", refused("upstreams", { name = "1.2.3.4" }).name)
    assert.equal("Invalid name ('a:80'); no port allowed", refused("upstreams", { name = "a:80" }).name)
    assert.equal("Invalid name ('a b'); must be a valid hostname", refused("upstreams", { name = "a b" }).name)
    assert.equal("Invalid name; must be a valid hostname", refused("upstreams", { name = "\255" }).name)
  end)
end)

describe("B3 targets", function()
  it("have a weight, and an address", function()
    local upstream = { id = UUID }
    assert.equal(100, complete("targets", { upstream = upstream, target = "a:80" }).weight)
    assert(judge("targets", { upstream = upstream, target = "[::1]:80", weight = 0 }))
    assert.same({
      target = "Invalid target ('a b'); not a valid hostname or ip address",
      weight = "value should be between 0 and 65535",
      upstream = "required field missing",
    }, refused("targets", { target = "a b", weight = 65536 }))
  end)
end)

describe("B3 certificates", function()
  local pkey = require "resty.openssl.pkey"
  local x509 = require "resty.openssl.x509"

  local function pair(options)
    local key = pkey.new(options or { type = "EC", curve = "prime256v1" })
    local cert = x509.new()
    cert:set_pubkey(key)
    cert:sign(key)
    return cert:to_PEM(), key:to_PEM("private")
  end

  it("fit their keys", function()
    local cert, key = pair()
    local _, other = pair()
    assert(judge("certificates", { cert = cert, key = key, snis = { "a.com" } }))
    assert.same({ ["@entity"] = { "certificate does not match key" } },
      refused("certificates", { cert = cert, key = other }))
    assert.same({ ["@entity"] = { "all or none of these fields must be set: 'cert_alt', 'key_alt'" } },
      refused("certificates", { cert = cert, key = key, cert_alt = cert }))
  end)

  it("have a second pair of another type only", function()
    local cert, key = pair()
    local rsa, rsa_key = pair { type = "RSA", bits = 2048 }
    assert(judge("certificates", { cert = cert, key = key, cert_alt = rsa, key_alt = rsa_key }))
    local err = refused("certificates", { cert = cert, key = key, cert_alt = cert, key_alt = key })
    assert.matches("^certificate and alternative certificate need to have different type", err["@entity"][1])
  end)

  it("of CAs are CAs'", function()
    local err = refused("ca_certificates", { cert = (pair()) })
    assert.equal(1, #err["@entity"])
    local cert = pair()
    assert.same({ ["@entity"] = { "please submit only one certificate at a time" } },
      refused("ca_certificates", { cert = cert .. cert }))
  end)

  it("have names that may have a wildcard", function()
    assert(judge("snis", { name = "*.a.com", certificate = { id = UUID } }))
    assert.same({ name = "must not be an IP", certificate = "required field missing" },
      refused("snis", { name = "1.2.3.4" }))
  end)
end)

describe("B3 keys", function()
  local jwk = '{"kty":"oct","kid":"%s","k":"YWJj"}'

  it("are JWK or PEM", function()
    assert.same({ ["@entity"] = { "at least one of these fields must be non-empty: 'jwk', 'pem'" } },
      refused("keys", { kid = "a" }))
    local err = refused("keys", { kid = "a", jwk = jwk:format "b" })
    assert.same({ "kid in jwk.kid must be equal to keys.kid" }, err["@entity"])
    err = refused("keys", { kid = "a", jwk = "{" })
    assert.same({ "could not json decode jwk string" }, err["@entity"])
  end)

  it("may be in a set", function()
    assert.same({ name = "s" }, defaults("key_sets", { name = "s" }))
    assert.equal("key_sets", schemas.keys.fields.set.reference)
  end)
end)

describe("B3 vaults", function()
  local errors = require "kong.db.errors"
  assert(require("kong.db.schema.vault_loader").load_subschema(schemas.vaults, "env", errors.new()))

  it("are called by a prefix that is no vault's name", function()
    assert.equal("must not be one of: env", refused("vaults", { name = "env", prefix = "env" }).prefix)
    assert.matches("^invalid value", refused("vaults", { name = "env", prefix = "9a" }).prefix)
    assert.equal("vault 'nothing' is not installed", refused("vaults", { name = "nothing", prefix = "ab" }).name)
  end)
end)

describe("B3 workspaces, tags, parameters", function()
  it("are checked too", function()
    assert(judge("workspaces", { name = "default" }))
    assert.matches("^must not be one of: workspaces, consumers, ", refused("workspaces", { name = "routes" }).name)
    assert.equal("required field missing", refused("tags", { tag = "a" }).entity_name)
    assert.equal("required field missing", refused("parameters", { key = "a" }).value)
  end)
end)
