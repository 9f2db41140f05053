-- Every function of the PDK in every phase: where it may be called, and the words where not.

local request = require "moongate.spec.request"

-- The phases, in the order of their bits: so messages list them.
local PHASES = {
  { "init_worker", 0x1 }, { "certificate", 0x2 }, { "client_hello", 0x8 }, { "rewrite", 0x10 },
  { "access", 0x20 }, { "balancer", 0x40 }, { "response", 0x80 }, { "cluster_listener", 0x100 },
  { "header_filter", 0x200 }, { "body_filter", 0x400 }, { "log", 0x2000 }, { "preread", 0x4000 },
  { "error", 0x01000000 }, { "admin_api", 0x10000000 },
}

local REQUEST = "rewrite access balancer response cluster_listener header_filter body_filter log error admin_api"
local AUTH = "access response header_filter body_filter log"
local READ = "response header_filter body_filter log error admin_api"
local WRITE = "rewrite access balancer response header_filter error admin_api"
local UPSTREAM = "response header_filter body_filter log"
local BEFORE = "rewrite access balancer preread"
local BODY = "rewrite access response error admin_api"
local ANY = "any"
local NOT_INIT = "not init_worker"

local function nothing() end

-- A function: where it may be called, then its arguments. "any" has no check.
local FUNCTIONS = {
  ["client.get_ip"] = { NOT_INIT },
  ["client.get_forwarded_ip"] = { NOT_INIT },
  ["client.get_port"] = { NOT_INIT },
  ["client.get_forwarded_port"] = { NOT_INIT },
  ["client.get_credential"] = { AUTH },
  ["client.load_consumer"] = { AUTH, "4f0e8c2a-7bd1-4a9e-9a39-2f0d1a3b7c55" },
  ["client.get_consumer"] = { AUTH },
  ["client.authenticate"] = { "access", {}, {} },
  ["client.get_protocol"] = { AUTH },
  ["client.tls.request_client_certificate"] = { "certificate" },
  ["client.tls.disable_session_reuse"] = { "certificate" },
  ["client.tls.get_full_client_certificate_chain"] = { "rewrite access balancer response log" },
  ["client.tls.set_client_verify"] = { "rewrite access balancer response", "SUCCESS" },
  ["cluster.get_id"] = { ANY },
  ["ip.is_trusted"] = { ANY, "127.0.0.1" },
  ["log.emerg"] = { ANY, "spec" },
  ["log.alert"] = { ANY, "spec" },
  ["log.crit"] = { ANY, "spec" },
  ["log.err"] = { ANY, "spec" },
  ["log.warn"] = { ANY, "spec" },
  ["log.notice"] = { ANY, "spec" },
  ["log.info"] = { ANY, "spec" },
  ["log.debug"] = { ANY, "spec" },
  ["log.trace"] = { ANY, "spec" },
  ["log.deprecation.write"] = { ANY, "spec" },
  ["log.inspect.on"] = { ANY },
  ["log.inspect.off"] = { ANY },
  ["log.new"] = { ANY, "spec" },
  ["log.set_format"] = { ANY },
  ["log.set_serialize_value"] = { "rewrite access response header_filter body_filter log", "k", 1 },
  ["log.serialize"] = { "log" },
  ["nginx.get_subsystem"] = { ANY },
  ["nginx.get_statistics"] = { ANY },
  ["node.get_id"] = { ANY },
  ["node.get_memory_stats"] = { ANY },
  ["node.get_hostname"] = { ANY },
  ["plugin.get_id"] = { ANY },
  ["request.get_scheme"] = { REQUEST },
  ["request.get_host"] = { REQUEST },
  ["request.get_port"] = { NOT_INIT },
  ["request.get_forwarded_scheme"] = { REQUEST },
  ["request.get_forwarded_host"] = { REQUEST },
  ["request.get_forwarded_port"] = { REQUEST },
  ["request.get_forwarded_path"] = { REQUEST },
  ["request.get_forwarded_prefix"] = { REQUEST },
  ["request.get_http_version"] = { REQUEST },
  ["request.get_method"] = { REQUEST },
  ["request.get_path"] = { REQUEST },
  ["request.get_raw_path"] = { REQUEST },
  ["request.get_path_with_query"] = { REQUEST },
  ["request.get_raw_query"] = { REQUEST },
  ["request.get_query_arg"] = { REQUEST, "a" },
  ["request.get_query"] = { REQUEST },
  ["request.get_header"] = { REQUEST, "a" },
  ["request.get_headers"] = { REQUEST },
  ["request.get_raw_body"] = { BODY },
  ["request.get_body"] = { BODY },
  ["request.get_start_time"] = { REQUEST },
  ["request.get_uri_captures"] = { REQUEST },
  ["response.get_status"] = { READ },
  ["response.get_header"] = { READ, "a" },
  ["response.get_headers"] = { READ },
  ["response.get_source"] = { READ },
  ["response.set_status"] = { WRITE, 200 },
  ["response.set_header"] = { WRITE, "a", "b" },
  ["response.add_header"] = { WRITE, "a", "b" },
  ["response.clear_header"] = { WRITE, "a" },
  ["response.set_headers"] = { WRITE, {} },
  ["response.get_raw_body"] = { "body_filter" },
  ["response.set_raw_body"] = { "body_filter", "a" },
  ["response.exit"] = { WRITE, 200 },
  ["response.error"] = { WRITE, 500 },
  ["router.get_route"] = { AUTH },
  ["router.get_service"] = { AUTH },
  ["service.set_upstream"] = { "access", "spec-nobody" },
  ["service.set_target"] = { BEFORE, "a", 1 },
  ["service.set_target_retry_callback"] = { "access", nothing },
  ["service.set_retries"] = { "access", 1 },
  ["service.set_timeouts"] = { "access", 1, 1, 1 },
  ["service.set_tls_cert_key"] = { BEFORE, 1LL, 1LL },
  ["service.set_tls_verify"] = { BEFORE, true },
  ["service.set_tls_verify_depth"] = { BEFORE, 1 },
  ["service.set_tls_verify_store"] = { BEFORE, {} },
  ["service.request.enable_buffering"] = { "rewrite access balancer" },
  ["service.request.set_scheme"] = { "rewrite access balancer", "http" },
  ["service.request.set_path"] = { "rewrite access balancer", "/" },
  ["service.request.set_raw_query"] = { "rewrite access", "a=b" },
  ["service.request.set_method"] = { "rewrite access", "GET" },
  ["service.request.set_query"] = { "rewrite access", {} },
  ["service.request.clear_query_arg"] = { "rewrite access", "a" },
  ["service.request.set_header"] = { "rewrite access balancer", "a", "b" },
  ["service.request.add_header"] = { "rewrite access", "a", "b" },
  ["service.request.clear_header"] = { "rewrite access", "a" },
  ["service.request.set_headers"] = { "rewrite access", {} },
  ["service.request.set_raw_body"] = { "rewrite access balancer", "a" },
  ["service.request.set_body"] = { "rewrite access", {}, "application/json" },
  ["service.request.disable_tls"] = { "balancer preread" },
  ["service.request.enable_tls"] = { "balancer preread" },
  ["service.response.get_status"] = { UPSTREAM },
  ["service.response.get_headers"] = { UPSTREAM },
  ["service.response.get_header"] = { UPSTREAM, "a" },
  ["service.response.get_raw_body"] = { UPSTREAM },
  ["service.response.get_body"] = { UPSTREAM },
  ["table.new"] = { ANY, 1, 1 },
  ["table.clear"] = { ANY, {} },
  ["table.merge"] = { ANY, {}, {} },
  ["telemetry.log"] = { ANY, "p", {}, "t", "m", {} },
  ["vault.is_reference"] = { ANY, "x" },
  ["vault.parse_reference"] = { ANY, "x" },
}

local function find(name)
  local at = kong
  for part in name:gmatch("[^.]+") do
    at = at[part]
  end
  return at
end

-- How the call ended in that phase: its error, or nil.
local function call(name, bit)
  local entry = FUNCTIONS[name]
  local ok, err = true, nil
  request {
    phase = "access",
    handler = function()
      ngx.ctx.KONG_PHASE = bit
      ok, err = pcall(find(name), unpack(entry, 2))
    end,
  }
  return not ok and err or nil
end

local function allowed(where, phase)
  if where == ANY then
    return true
  elseif where == NOT_INIT then
    return phase ~= "init_worker"
  end
  return (" " .. where .. " "):find(" " .. phase .. " ", 1, true) ~= nil
end

-- The words of a refusal.
local function refusal(where, phase)
  if where == NOT_INIT then
    return "function cannot be called in " .. phase .. " phase (can be called in any phases except: init_worker)"
  end
  return "function cannot be called in " .. phase .. " phase (only in: " .. where:gsub(" ", ", ") .. ")"
end

local names = {}
for name in pairs(FUNCTIONS) do
  names[#names + 1] = name
end
table.sort(names)

describe("D1 phases", function()
  for _, name in ipairs(names) do
    it("D1 kong." .. name, function()
      local where = FUNCTIONS[name][1]
      assert.equal("function", type(find(name)))
      for _, phase in ipairs(PHASES) do
        local err = call(name, phase[2])
        if allowed(where, phase[1]) then
          local refused = type(err) == "string" and err:find("function cannot be called", 1, true)
          assert(not refused, phase[1] .. ": " .. tostring(err))
        else
          assert.equal("string", type(err), phase[1])
          assert.equal(refusal(where, phase[1]), err:match("function cannot be called.*"))
        end
      end
    end)
  end

  it("D1 no function is left out", function()
    local function walk(at, path)
      for key, value in pairs(at) do
        local name = path .. tostring(key)
        if type(value) == "function" then
          assert(FUNCTIONS[name] or name:find("^%w+%.new$"), name)
        elseif type(value) == "table" and (key == "tls" or key == "request" or key == "response") then
          walk(value, name .. ".")
        end
      end
    end
    for _, part in ipairs { "client", "cluster", "ip", "nginx", "node", "plugin", "request", "response", "router",
                            "service", "table" } do
      walk(kong[part], part .. ".")
    end
  end)

  it("D1 the bits, their names, and what is no phase", function()
    local phases = require("kong.pdk.private.phases")
    for _, phase in ipairs(PHASES) do
      assert.equal(phase[2], phases.phases[phase[1]])
      assert.equal(phase[1], phases.phases[phase[2]])
    end
    assert.equal(30, phases.phases.n)
    assert.error_matches(function() return phases.phases.nope end, "unknown phase or phase alias: nope")
    assert.equal(0x30, phases.new(0x10, 0x20))
    assert.equal(require("kong.global").phases, phases.phases)
  end)

  it("D1 a phase of no name, and none at all", function()
    request {
      handler = function()
        ngx.ctx.KONG_PHASE = 0x4
        local ok, err = pcall(kong.service.set_retries, 1)
        assert.is_false(ok)
        assert.matches("function cannot be called in 'unknown phase' phase %(only in: access%)", err)
      end,
    }
    -- the specs' own scope is a timer's, which Kong has no phase for
    ngx.ctx.KONG_PHASE = nil
    local ok, err = pcall(kong.service.set_retries, 1)
    assert.is_false(ok)
    assert.matches("no phase in ngx.ctx.KONG_PHASE, %(need one of access%)", err)
    ok, err = pcall(kong.client.get_ip)
    assert.is_false(ok)
    assert.matches("no phase in ngx.ctx.KONG_PHASE$", err)
  end)

  it("D1 KONG_PHASE follows the phase, and one that a plugin wrote lasts as long as its phase", function()
    request {
      steps = {
        { "rewrite", function()
          assert.equal(0x10, ngx.ctx.KONG_PHASE)
          ngx.ctx.KONG_PHASE = 0x2000
          assert.equal("table", type(kong.log.serialize()))
        end },
        { "access", function()
          assert.is_true(pcall(kong.service.set_retries, 1))
          assert.equal(0x20, ngx.ctx.KONG_PHASE)
        end },
        { "header_filter", function() assert.equal(0x200, ngx.ctx.KONG_PHASE) end },
        { "body_filter", function() assert.equal(0x400, ngx.ctx.KONG_PHASE) end },
        { "log", function() assert.equal(0x2000, ngx.ctx.KONG_PHASE) end },
      },
    }
  end)

  it("D1 without a kong nothing is checked", function()
    local own = _G.kong
    local set = own.service.set_retries
    _G.kong = nil
    local ok, err = pcall(set, 1)
    _G.kong = { log = own.log }
    local ok2 = pcall(set, 1)
    _G.kong = own
    assert(ok, err)
    assert.is_true(ok2)
  end)
end)
