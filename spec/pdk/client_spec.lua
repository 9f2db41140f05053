local support = dofile "spec/pdk/support.lua"
local request = require "moongate.spec.request"
local raised, junk, within = support.raised, support.junk, support.within

describe("D1 kong.client", function()
  local client = kong.client

  it("D1 get_ip, get_port: the peer; get_forwarded_ip, get_forwarded_port: whom a trusted one speaks for", function()
    within(function()
      assert.same({ "127.0.0.1", 51000 }, { client.get_ip(), client.get_port() })
      assert.same({ "127.0.0.1", 51000 }, { client.get_forwarded_ip(), client.get_forwarded_port() })
      request.client(true, "10.1.2.3:99")
      assert.same({ "127.0.0.1", 51000 }, { client.get_ip(), client.get_port() })
      assert.same({ "10.1.2.3", 99 }, { client.get_forwarded_ip(), client.get_forwarded_port() })
      request.client(true, "[::ffff:10.1.2.4]:98")
      assert.equal("10.1.2.4", client.get_forwarded_ip())
    end)
  end)

  it("D1 authenticate, get_consumer, get_credential", function()
    local consumer, credential = { id = "c" }, { id = "k", consumer_id = "c" }
    request {
      steps = {
        { "access", function()
          assert.is_nil(client.get_consumer())
          assert.is_nil(client.get_credential())
          client.authenticate(consumer, credential)
          assert.equal(consumer, client.get_consumer())
          assert.equal(consumer, ngx.ctx.authenticated_consumer)
          client.authenticate(nil, credential)
          assert.is_nil(client.get_consumer())
          client.authenticate(consumer)
          assert.is_nil(client.get_credential())
          -- plugins write ngx.ctx, too
          ngx.ctx.authenticated_credential = credential
          assert.equal(credential, client.get_credential())
        end },
        { "log", function()
          assert.equal(consumer, client.get_consumer())
          assert.equal(credential, client.get_credential())
        end },
      },
    }
  end)

  it("D1 authenticate takes tables and nil only", function()
    within(function()
      for _, value in junk("nil", "table") do
        assert.equal("consumer must be a table or nil", raised(client.authenticate, value))
        assert.equal("credential must be a table or nil", raised(client.authenticate, {}, value))
      end
      assert.equal("either credential or consumer must be provided", raised(client.authenticate))
      assert.is_nil(client.get_consumer())
    end)
  end)

  it("D1 load_consumer wants a UUID, or a name where that is asked for", function()
    within(function()
      for _, value in junk("string") do
        assert.equal("consumer_id must be a string", raised(client.load_consumer, value))
      end
      assert.equal("cannot load a consumer with an id that is not a uuid", raised(client.load_consumer, "bob"))
      assert.is_nil(client.load_consumer("4f0e8c2a-7bd1-4a9e-9a39-2f0d1a3b7c55"))
      assert.is_nil((client.load_consumer("bob", true)))
    end)
  end)

  it("D1 get_protocol", function()
    within(function()
      assert.same({ nil, "No active route found" }, { client.get_protocol() })
      ngx.ctx.route = { protocols = { "grpc" } }
      assert.equal("grpc", client.get_protocol())
      ngx.ctx.route = { protocols = { "http", "https" } }
      assert.equal("http", client.get_protocol())
      assert.equal("http", client.get_protocol(true))
      request.client(true)
      assert.equal("https", client.get_protocol(true))
      assert.equal("http", client.get_protocol())
      assert.equal("http", client.get_protocol(false))
    end, { headers = { { "X-Forwarded-Proto", "https" } } })
    within(function()
      ngx.ctx.route = { protocols = { "http", "https" } }
      request.client(true)
      assert.same({ nil, "Only one X-Forwarded-Proto header allowed" }, { client.get_protocol(true) })
    end, { headers = { { "X-Forwarded-Proto", "https" }, { "X-Forwarded-Proto", "http" } } })
  end)
end)

describe("D1 kong.client.tls", function()
  local tls = kong.client.tls

  it("D1 set_client_verify", function()
    within(function()
      for _, value in ipairs { "SUCCESS", "NONE", "FAILED:", "FAILED:what" } do
        tls.set_client_verify(value)
        assert.equal(value, ngx.ctx.CLIENT_VERIFY_OVERRIDE)
      end
      for _, value in junk("string") do
        assert.equal("assertion failed!", raised(tls.set_client_verify, value))
      end
      assert.equal('unknown client verify value: FAILED accepted values are: "SUCCESS", "NONE" or "FAILED:<reason>"',
                   raised(tls.set_client_verify, "FAILED"))
    end)
  end)

  it("D1 get_full_client_certificate_chain without TLS", function()
    within(function()
      local chain, err = tls.get_full_client_certificate_chain()
      assert.is_nil(chain)
      assert.matches("^connection is not TLS", err)
    end)
  end)

  it("D1 is a module of its own", function()
    assert.equal("function", type(require("kong.pdk.client.tls").new().set_client_verify))
  end)
end)
