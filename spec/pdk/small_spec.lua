-- kong.node, nginx, table, ip, cluster, plugin, router, configuration, and what kong itself holds.

local request = require "moongate.spec.request"
local support = dofile "spec/pdk/support.lua"
local raised, junk, within = support.raised, support.junk, support.within

local UUID = "^%x%x%x%x%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$"

describe("D1 kong.node", function()
  local node = kong.node

  it("D1 get_id and get_hostname stay what they are", function()
    assert.matches(UUID, node.get_id())
    assert.equal(node.get_id(), node.get_id())
    assert.equal("string", type(node.get_hostname()))
    assert.equal(node.get_hostname(), node.get_hostname())
  end)

  it("D1 get_memory_stats in bytes", function()
    local stats = node.get_memory_stats()
    local mine
    for _, worker in ipairs(stats.workers_lua_vms) do
      mine = worker.pid == ngx.worker.pid() and worker or mine
    end
    assert.is_true(mine.http_allocated_gc > 100000 and mine.http_allocated_gc % 1 == 0)
    local n = 0
    for name, dict in pairs(stats.lua_shared_dicts) do
      n = n + 1
      assert.equal(ngx.shared[name]:capacity(), dict.capacity)
      assert.is_true(dict.allocated_slabs >= 0 and dict.allocated_slabs <= dict.capacity)
    end
    assert.is_true(n > 0)
  end)

  it("D1 get_memory_stats in other units", function()
    for unit, words in pairs { k = "KiB", K = "KiB", m = "MiB", M = "MiB", g = "GiB", G = "GiB" } do
      local stats = node.get_memory_stats(unit)
      assert.matches("^%d+%.%d%d " .. words .. "$", stats.workers_lua_vms[1].http_allocated_gc)
      assert.matches("^%d+%.%d%d " .. words .. "$", stats.lua_shared_dicts.kong.capacity)
    end
    assert.matches("^%d+%.%d%d%d%d KiB$", node.get_memory_stats("k", 4).workers_lua_vms[1].http_allocated_gc)
    assert.matches("^%d+ KiB$", node.get_memory_stats("k", 0).workers_lua_vms[1].http_allocated_gc)
    assert.equal("number", type(node.get_memory_stats("B").workers_lua_vms[1].http_allocated_gc))
  end)

  it("D1 get_memory_stats takes what workers report, and tells what is no number", function()
    ngx.shared.kong:set("kong:mem:1", 1234)
    ngx.shared.kong:set("kong:mem:2", "garbage")
    ngx.shared.kong:set("kong:mem:none", 1)
    local lines = node.get_memory_stats().workers_lua_vms
    ngx.shared.kong:delete("kong:mem:1")
    ngx.shared.kong:delete("kong:mem:2")
    ngx.shared.kong:delete("kong:mem:none")
    assert.same({ pid = 1, http_allocated_gc = 1263616 }, lines[1])
    assert.same({ pid = 2, err = "could not get worker's HTTP Lua VM memory (pid: 2): reported value is corrupted" },
                lines[2])
    for i = 2, #lines do
      assert.is_true(lines[i - 1].pid < lines[i].pid)
    end
  end)

  it("D1 get_memory_stats refuses junk", function()
    assert.equal("invalid unit 'V' (expected 'k/K', 'm/M', or 'g/G')", raised(node.get_memory_stats, "V"))
    assert.equal("scale must be equal or greater than 0", raised(node.get_memory_stats, "k", -1))
    for _, value in junk("nil", "number", "boolean") do
      assert.equal("scale must be equal or greater than 0", raised(node.get_memory_stats, "k", value))
    end
    for kind, value in junk("nil", "string", "number") do
      assert.equal("string", type(raised(node.get_memory_stats, value)), kind)
    end
  end)

  it("D1 an id in a file of the prefix", function()
    local private = require "kong.pdk.private.node"
    assert.is_nil(private.load_node_id())
    local prefix = os.tmpname()
    os.remove(prefix)
    local id, err = private.load_node_id(prefix)
    assert.is_nil(id)
    assert.equal("file " .. prefix .. "/kong.id does not exist", err)
    private.init_node_id(nil)
    private.init_node_id({ prefix = prefix, role = "traditional" })
    assert.is_nil(io.open(prefix .. "/kong.id"))
    assert.is_true(require("pl.dir").makepath(prefix))
    local file = io.open(prefix .. "/kong.id", "w")
    file:write("nonsense")
    file:close()
    id, err = private.load_node_id(prefix)
    assert.is_nil(id)
    assert.equal("file " .. prefix .. '/kong.id contains invalid uuid: "nonsense"', err)
    private.init_node_id({ prefix = prefix, role = "data_plane" })
    assert.matches(UUID, private.load_node_id(prefix))
    os.remove(prefix .. "/kong.id")
    os.remove(prefix)
  end)
end)

describe("D1 kong.nginx", function()
  it("D1 get_subsystem", function()
    assert.equal("http", kong.nginx.get_subsystem())
  end)

  it("D1 get_statistics counts; nobody connects to specs", function()
    assert.same({
      connections_active = 0, connections_reading = 0, connections_writing = 0, connections_waiting = 0,
      connections_accepted = 0, connections_handled = 0, total_requests = 0,
    }, kong.nginx.get_statistics())
  end)
end)

describe("D1 kong.table", function()
  it("D1 new, clear, merge", function()
    local t = kong.table.new(4, 4)
    assert.same({}, t)
    t.a, t[1] = 1, 2
    kong.table.clear(t)
    assert.same({}, t)
    local one, two = { a = 1, b = 1, 5 }, { b = 2, c = 3 }
    assert.same({ a = 1, b = 2, c = 3, 5 }, kong.table.merge(one, two))
    assert.same({ a = 1, b = 1, 5 }, one)
    assert.same({ b = 2, c = 3 }, kong.table.merge(nil, two))
    assert.same({ a = 1, b = 1, 5 }, kong.table.merge(one))
    assert.same({}, kong.table.merge())
    assert.not_equal(two, kong.table.merge(nil, two))
  end)

  it("D1 junk raises a string", function()
    for _, value in junk("table") do
      assert.equal("string", type(raised(kong.table.clear, value)))
    end
    for _, value in junk("nil", "table", "boolean") do
      assert.equal("string", type(raised(kong.table.merge, value)))
    end
    for _, value in junk("nil", "number", "string") do
      assert.equal("string", type(raised(kong.table.new, value, 1)))
    end
  end)
end)

describe("D1 kong.ip", function()
  it("D1 nobody is trusted where nobody is named", function()
    assert.is_false(kong.ip.is_trusted("127.0.0.1"))
    assert.is_false(kong.ip.is_trusted("nonsense"))
  end)

  it("D1 a PDK with addresses of its own", function()
    local ip = require("kong.pdk").new({ trusted_ips = { "10.0.0.0/8", "1.2.3.4", "fd00::/16", "nonsense" } }).ip
    for address, trusted in pairs {
      ["10.9.8.7"] = true, ["1.2.3.4"] = true, ["1.2.3.5"] = false, ["fd00::1"] = true, ["fe80::1"] = false,
    } do
      assert.equal(trusted, ip.is_trusted(address), address)
    end
    assert.is_false(require("kong.pdk").new({ trusted_ips = {} }).ip.is_trusted("1.2.3.4"))
    local all = require("kong.pdk").new({ trusted_ips = { "0.0.0.0/0", "::/0" } }).ip
    assert.is_true(all.is_trusted("9.9.9.9"))
    assert.is_true(all.is_trusted("::1"))
    assert.is_false(kong.ip.is_trusted("9.9.9.9"))
  end)
end)

describe("D1 kong.cluster and kong.plugin", function()
  it("D1 the cluster has an id", function()
    assert.matches(UUID, kong.cluster.get_id())
    assert.equal(kong.cluster.get_id(), kong.cluster.get_id())
  end)

  it("D1 a plugin's id is that of its configuration, or what ngx.ctx says", function()
    within(function()
      assert.is_nil(kong.plugin.get_id())
      ngx.ctx.plugin_id = "p"
      assert.equal("p", kong.plugin.get_id())
      assert.equal("p", kong.plugin:get_id())
    end)
  end)
end)

describe("D1 kong.router", function()
  it("D1 route and service, where ngx.ctx has them", function()
    within(function()
      assert.is_nil(kong.router.get_route())
      assert.is_nil(kong.router.get_service())
      local route, service = { id = "r" }, { id = "s" }
      ngx.ctx.route, ngx.ctx.service = route, service
      assert.equal(route, kong.router.get_route())
      assert.equal(service, kong.router.get_service())
      ngx.ctx.route, ngx.ctx.service = nil, nil
      assert.is_nil(kong.router.get_route())
      assert.is_nil(kong.router.get_service())
    end)
  end)
end)

describe("D1 kong.configuration", function()
  local own = require("kong.pdk").new({ answer = 42, pg_password = "secret", list = { 1 } }).configuration

  it("D1 reads, and is not written", function()
    assert.equal(42, own.answer)
    assert.is_nil(own.nothing)
    local gateways = require("kong.pdk").new().configuration
    assert.is_nil(gateways.nothing)
    for _, conf in ipairs { own, gateways } do
      assert.equal("cannot write to configuration", raised(function() conf.answer = 1 end))
      assert.equal("cannot write to configuration", raised(function() conf.new = 1 end))
    end
    assert.equal(42, own.answer)
    assert.is_nil(require("kong.pdk").new().configuration.answer)
  end)

  it("D1 remove_sensitive answers a copy without secrets", function()
    local copy = own.remove_sensitive()
    assert.equal(42, copy.answer)
    assert.equal("******", copy.pg_password)
    copy.answer = 1
    assert.same({ 42, "secret" }, { own.answer, own.pg_password })
    assert.equal("table", type(require("kong.pdk").new().configuration.remove_sensitive()))
    -- other specs may have put a table of their own there
    local configuration = kong.configuration
    if not configuration.remove_sensitive then
      configuration = require("kong.pdk").new().configuration
    end
    local shown = configuration.remove_sensitive()
    assert.equal(configuration.prefix, shown.prefix)
    assert.is_nil(shown.remove_sensitive)
  end)
end)

describe("D1 kong and its modules", function()
  it("D1 version", function()
    assert.equal("3.10.0", kong.version)
    local meta = require "kong.meta"
    local v = meta._VERSION_TABLE
    assert.equal(tonumber(("%d%.2d%.2d"):format(v.major * 100, v.minor * 10, v.patch)), kong.version_num)
    assert.equal(tostring(v), meta._VERSION)
    -- a configuration brings it, which specs need not have
    assert.matches(UUID, kong.default_workspace or "00000000-0000-0000-0000-000000000000")
  end)

  it("D1 each face is a module with new", function()
    for _, name in ipairs {
      "client", "client.tls", "cluster", "ctx", "ip", "log", "nginx", "node", "plugin", "request", "response",
      "router", "service", "service.request", "service.response", "table", "telemetry", "tracing", "vault",
    } do
      local face = require("kong.pdk." .. name).new(kong)
      assert.equal("table", type(face), name)
      assert.is_truthy(next(face) or getmetatable(face), name)
    end
    assert.equal("function", type(require "kong.globalpatches"))
  end)

  it("D1 faces of two PDKs are their own", function()
    local one, two = require("kong.pdk").new(), require("kong.pdk").new()
    for _, name in ipairs { "client", "ip", "node", "request", "response", "router", "service", "table" } do
      assert.not_equal(one[name], two[name], name)
      assert.not_equal(one[name], kong[name], name)
    end
    one.ip.is_trusted = function() return true end
    assert.is_false(two.ip.is_trusted("1.2.3.4"))
    within(function()
      ngx.ctx.route = { protocols = { "http", "https" } }
      assert.equal("https", one.client.get_protocol(true))
      assert.equal("http", two.client.get_protocol(true))
    end, { headers = { { "X-Forwarded-Proto", "https" } } })
  end)

  it("D1 kong.pdk.private.rate_limiting keeps headers for the response", function()
    local limits = require "kong.pdk.private.rate_limiting"
    request {
      steps = {
        { "access", function()
          assert.is_nil(limits.get_stored_response_header(ngx.ctx, "X-1"))
          limits.store_response_header(ngx.ctx, "X-1", 1)
          limits.store_response_header(ngx.ctx, "X-2", "two")
          assert.equal(1, limits.get_stored_response_header(ngx.ctx, "X-1"))
          for kind, value in junk("string") do
            assert.equal("arg #2 `key` for function `store_response_header` must be a string, got " .. kind,
                         raised(limits.store_response_header, ngx.ctx, value, 1))
            assert.equal("arg #2 `key` for function `get_stored_response_header` must be a string, got " .. kind,
                         raised(limits.get_stored_response_header, ngx.ctx, value))
          end
          for kind, value in junk("string", "number") do
            assert.equal("arg #3 `value` for function `store_response_header` must be a string or a number, got "
              .. kind, raised(limits.store_response_header, ngx.ctx, "X", value))
          end
        end },
        { "header_filter", function()
          limits.apply_response_headers(ngx.ctx)
          assert.same({ "1", "two" }, { ngx.header["X-1"], ngx.header["X-2"] })
        end },
      },
    }
  end)
end)
