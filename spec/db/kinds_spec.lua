local rows = require "spec.db.rows"

local function id(n)
  return ("%08d-0000-4000-8000-000000000000"):format(n)
end

describe("B5 what DAOs of some entities do beside", function()
  local db

  lazy_setup(function()
    rows.replace("default_workspace", nil)
    rows.replace("configuration", { database = "off", role = "traditional", loaded_plugins = {} })
    db = assert(require("kong.db").new({ database = "off", loaded_plugins = {} }))
    rows.replace("db", db)
  end)

  lazy_teardown(rows.restore)

  describe("services and plugins", function()
    it("are found by the CA certificates they name, over many pages", function()
      local services = {}
      for n = 1, 250 do
        services[n] = { id = id(n), host = "h", port = 80, protocol = "https", ca_certificates = { id(900) } }
      end
      services[3].ca_certificates = nil
      services[250].ca_certificates = { id(901), id(902) }
      rows.install({ services = services, plugins = {
        { id = id(1), name = "a", config = { ca_certificates = { id(900) } } },
        { id = id(2), name = "b", config = { ca_certificates = { id(900) } } },
        { id = id(3), name = "c", config = {} },
      } })
      assert.equal(248, #db.services:select_by_ca_certificate(id(900)))
      assert.equal(2, #db.services:select_by_ca_certificate(id(900), 2))
      assert.same({ id(250) }, { db.services:select_by_ca_certificate(id(902))[1].id })
      local plugins = db.strategies.plugins
      assert.equal(2, #plugins:select_by_ca_certificate(id(900)))
      assert.equal("b", plugins:select_by_ca_certificate(id(900), 1, "b")[1].name)
      assert.equal("a", plugins:select_by_ca_certificate(id(900), nil, { "a", "c" })[1].name)
      local none, err = db.plugins:select_by_ca_certificate(id(900), 1, 7)
      assert.is_nil(none)
      assert.equal("parameter `plugin_names` must be of type table, string, or nil", err)
    end)

    it("keep the CA certificates they name from being deleted", function()
      rows.install({
        services = {
          { id = id(1), host = "h", port = 80, protocol = "https", ca_certificates = { id(900) } },
        },
        ca_certificates = { { id = id(900), cert = "x" }, { id = id(901), cert = "y" } },
      })
      local _, err, err_t = db.ca_certificates:delete({ id = id(900) })
      local text = "[off] ca certificate %s is still referenced by services (id = %s)"
      assert.equal(text:format(id(900), id(1)), err)
      assert.equal(19, err_t.code)
      _, err = db.ca_certificates:delete({ id = id(901) })
      assert.equal("[off] cannot remove 'ca_certificates' entities when not using a database", err)
    end)
  end)

  describe("targets", function()
    local upstream = { id = id(1) }

    before_each(function()
      rows.install({ upstreams = { { id = id(1), name = "up" } }, targets = {
        { id = id(11), upstream = upstream, target = "10.0.0.1:80", weight = 1, created_at = 1 },
        { id = id(12), upstream = upstream, target = "10.0.0.2", weight = 0, created_at = 2, updated_at = 2 },
        { id = id(13), upstream = upstream, target = "10.0.0.1:80", weight = 5, created_at = 3 },
      } })
    end)

    it("get a port when read", function()
      assert.equal("10.0.0.2:8000", db.targets:select({ id = id(12) }).target)
    end)

    it("come by age when raw, the newest of an address first otherwise", function()
      local ids = {}
      for i, target in ipairs(assert(db.targets:select_by_upstream_raw(upstream))) do
        ids[i] = target.id
      end
      assert.same({ id(11), id(12), id(13) }, ids)

      local page, _, _, offset = db.targets:page_for_upstream(upstream, 1)
      assert.equal(id(13), page[1].id)
      assert.equal("1", offset)
      page, _, _, offset = db.targets:page_for_upstream(upstream, 1, offset)
      assert.equal(id(12), page[1].id)
      assert.is_nil(offset)
      assert.equal(3, #db.targets:page_for_upstream_raw(upstream))
    end)

    it("are found by id or address", function()
      assert.equal(id(13), db.targets:select_by_upstream_filter(upstream, { target = "10.0.0.1:80" }).id)
      assert.equal(id(11), db.targets:select_by_upstream_filter(upstream, { id = id(11) }).id)
    end)

    it("are judged before they are refused", function()
      local _, err = db.targets:insert({ upstream = upstream, target = "a b" })
      assert.equal("[off] schema violation (target: Invalid target; not a valid hostname or ip address)", err)
      _, err = db.targets:insert({ upstream = upstream, target = "a.test" })
      assert.equal("[off] cannot create 'targets' entities when not using a database", err)
    end)
  end)

  describe("certificates", function()
    local cert = { id = id(1) }

    before_each(function()
      rows.install({ certificates = { { id = id(1), cert = "c", key = "k" } }, snis = {
        { id = id(21), name = "b.test", certificate = cert },
        { id = id(22), name = "a.test", certificate = cert },
      } })
    end)

    it("know the names they are for, sorted", function()
      assert.same({ "a.test", "b.test" }, db.certificates:select_with_name_list(cert).snis)
      assert.same({ "a.test", "b.test" }, db.certificates:page()[1].snis)
      local _, err = db.certificates:select_with_name_list({ id = id(2) })
      assert.matches("could not find the entity with primary key", err)
    end)

    it("may not name one twice, or one of another", function()
      local _, err = db.certificates:insert({ cert = "c", key = "k", snis = { "x.test", "x.test" } })
      assert.equal("[off] schema violation (snis: x.test is duplicated)", err)
      _, err = db.certificates:insert({ cert = "c", key = "k", snis = { "a.test" } })
      assert.equal("[off] schema violation (snis: a.test already associated with existing certificate '"
        .. id(1) .. "')", err)
      assert.is_true(db.snis:check_list_is_new({ "a.test", "new.test" }, id(1)))
    end)
  end)

  describe("plugins", function()
    it("must share a protocol with their route", function()
      rows.install({ routes = { { id = id(1), paths = { "/" }, protocols = { "grpc" } } } })
      local _, err = db.plugins:insert({ name = "x", route = { id = id(1) }, protocols = { "http" } })
      assert.equal("[off] schema violation (protocols: must match the associated route's protocols)", err)
    end)
  end)
end)
