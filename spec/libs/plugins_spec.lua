describe("B2 what single plugins require", function()
  it("B2 kong.llm knows kinds of requests and judges configurations", function()
    local llm = require "kong.llm"
    local chat, completions = { messages = { {} } }, { prompt = "x" }
    assert.is_true(llm.is_compatible(chat, "llm/v1/chat"))
    assert.is_true(llm.is_compatible({}, "preserve"))
    assert.same({ false,
      "[llm/v1/chat] message format is not compatible with [llm/v1/completions] route type" }, { llm.is_compatible(chat, "llm/v1/completions") })
    assert.same({ nil, "request format not recognised" },
      { llm.is_compatible({ messages = {} }, "llm/v1/chat") })
    completions.messages = { {} }
    assert.same({ nil, "request matches multiple LLM request formats" },
      { llm.is_compatible(completions, "llm/v1/chat") })

    local schema = require("kong.db.schema").new(llm.config_schema)
    local conf = schema:process_auto_fields({
      route_type = "llm/v1/chat", model = { provider = "llama2" },
    }, "insert")
    local ok, err = schema:validate(conf)
    assert.is_nil(ok)
    assert.same({ ["@entity"] = { "must set 'model.options.llama2_format' for llama2 provider",
      "must set 'model.options.upstream_url' for self-hosted providers/models" } }, err)
  end)

  it("D1 kong.llm asks a model by a driver", function()
    local loaded, said = package.loaded, {}
    loaded["kong.llm.drivers.shared"] = {
      pre_request = function(_, request) said.pre = request end,
      post_request = function(_, answer) said.post = answer end,
    }
    local driver = {
      to_format = function(request) return request end,
      subrequest = function(request)
        return said.answer or request.messages[2].content:upper(), said.err and 500, said.err
      end,
      from_format = function(answer)
        return require("cjson").encode { choices = { { message = { role = "assistant", content = answer } } } }
      end,
    }
    loaded["kong.llm.drivers.openai"] = driver
    local llm = require("kong.llm").new_driver { model = { provider = "openai" }, route_type = "llm/v1/chat" }
    assert.equal("TEXT", llm:ai_introspect_body("text", "capitals", {}))
    assert.same({ { role = "system", content = "capitals" }, { role = "user", content = "text" } }, said.pre.messages)
    assert.matches("TEXT", said.post, 1, true)
    said.answer = "it is [42], sir"
    assert.equal("[42]", llm:ai_introspect_body("text", "p", {}, "\\[\\d+\\]"))
    assert.same({ nil, "AI response did not match specified regular expression" },
      { llm:ai_introspect_body("text", "p", {}, "none") })
    said.err = "status code 500"
    assert.same({ nil, "failed to introspect request with AI service: status code 500" },
      { llm:ai_introspect_body("text", "p", {}) })
    loaded["kong.llm.drivers.shared"], loaded["kong.llm.drivers.openai"] = nil, nil
  end)

  it("B2 kong.llm.plugin.ctx takes registered names with their types only", function()
    local ctx = require "kong.llm.plugin.ctx"
    local get, set = ctx.get_namespaced_accesors("spec", { n = "number" })
    assert.is_nil(get "n")
    assert.is_true(set("n", 1))
    assert.equal(1, get "n")
    assert.has_error(function() set("n", "x") end,
      "value type mismatch in namespace: spec key: n, expecting number, got string")
    assert.has_error(function() set("m", 1) end, "key not registered in namespace: spec key: m")
    assert.has_error(function() ctx.get_namespaced_accesors("spec", {}) end,
      "namespace already registered: spec")
    local view = ctx.immutable_table { a = 1 }
    assert.equal(1, view.a)
    assert.has_error(function() view.a = 2 end, "Attempt to modify or add keys to an immutable table")
  end)

  it("B2 kong.llm.plugin.base makes handlers of filters, each run once in a request", function()
    local base, ran = require "kong.llm.plugin.base", 0
    local plugin = base.define("spec", 5)
    plugin:enable(plugin.register_filter {
      NAME = "spec-filter", STAGE = "REQ_TRANSFORMATION",
      run = function(_, conf)
        ran = ran + conf.step
        return true
      end,
    })
    local handler = plugin:as_kong_plugin()
    assert.equal(5, handler.PRIORITY)
    assert.is_nil(handler.log)
    handler:access({ step = 2 })
    handler:access({ step = 2 })
    assert.equal(2, ran)
    assert.has_error(function() plugin.register_filter { NAME = "x", STAGE = "NONE", run = print } end,
      "unknown stage: NONE")
  end)

  it("B2 kong.pdk.private.rate_limiting keeps headers", function()
    local limits, ctx = require "kong.pdk.private.rate_limiting", {}
    assert.is_nil(limits.get_stored_response_header(ctx, "X"))
    limits.store_response_header(ctx, "X", 5)
    assert.equal(5, limits.get_stored_response_header(ctx, "X"))
    assert.has_error(function() limits.store_response_header(ctx, "X", {}) end,
      "arg #3 `value` for function `store_response_header` must be a string or a number, got table")
  end)

  it("B2 time stamps are of seconds or milliseconds", function()
    local timestamp = require "kong.tools.timestamp"
    local at = require("luatz").timetable.new(2024, 2, 29, 13, 14, 15):timestamp()
    assert.equal(1709212455, at)
    local stamps = timestamp.get_timestamps(at)
    assert.same(stamps, timestamp.get_timestamps(at * 1000 + 7))
    assert.equal(1704067200000, stamps.year)
    assert.equal(1709164800000, stamps.day)
    assert.equal("2024-03-01T00:00:00.000",
      tostring(require("luatz").timetable.new(2024, 2, 30):normalise()))
  end)

  it("B2 lua_system_constants are functions, and the C functions they serve are declared", function()
    local constants = require "lua_system_constants"
    local name = os.tmpname()
    finally(function() os.remove(name) end)
    local C = require("ffi").C
    local fd = C.open(name, bit.bor(constants.O_WRONLY(), constants.O_APPEND()))
    assert.is_true(fd >= 0)
    assert.equal(2, C.write(fd, "ab", 2))
    C.close(fd)
    assert.equal("ab", require("pl.file").read(name))
  end)
end)
