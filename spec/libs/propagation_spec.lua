local PATH = "kong.observability.tracing.propagation."
local propagation = require(PATH:sub(1, -2))
local utils = require(PATH .. "utils")
local from_hex = utils.from_hex

local TRACE, SHORT = ("0af7651916cd43dd"):rep(2), "8448eb211c80319c"
local SPAN, PARENT = "b7ad6b7169203331", "b7ad6b7169203332"
local AWS_ROOT = "Root=1-" .. TRACE:sub(1, 8) .. "-" .. TRACE:sub(9)

local function extract(format, headers)
  return require(PATH .. "extractors." .. format):extract(headers)
end

-- the headers that an injector sets
local function inject(format, context)
  local set, headers = kong.service.request.set_header, {}
  kong.service.request.set_header = function(name, value) headers[name] = value end
  local ok, id, err = pcall(function()
    local injector = require(PATH .. "injectors." .. format)
    return injector:inject(context)
  end)
  kong.service.request.set_header = set
  assert(ok, id)
  return headers, id, err
end

local function context(extra)
  local c = { trace_id = from_hex(TRACE), span_id = from_hex(SPAN), should_sample = true }
  for key, value in pairs(extra or {}) do
    c[key] = value
  end
  return c
end

describe("D1 propagation: extractors", function()
  local function ids(found)
    local hex = require("resty.string").to_hex
    return { hex(found.trace_id), hex(found.span_id), found.parent_id and hex(found.parent_id), found.should_sample }
  end

  it("D1 each reads what it is for", function()
    local cases = {
      { "w3c", { traceparent = ("00-%s-%s-01"):format(TRACE, SPAN) } },
      { "jaeger", { ["uber-trace-id"] = ("%s:%s:%s:1"):format(TRACE, SPAN, PARENT) }, PARENT },
      { "ot", { ["ot-tracer-traceid"] = TRACE, ["ot-tracer-spanid"] = SPAN, ["ot-tracer-sampled"] = "1" } },
      { "b3", { b3 = ("%s-%s-1-%s"):format(TRACE, SPAN, PARENT) }, PARENT },
      { "b3", { tracestate = { "x=1", ("b3=%s-%s-d"):format(TRACE, SPAN) } } },
      { "b3", { ["x-b3-traceid"] = TRACE, ["x-b3-spanid"] = SPAN, ["x-b3-parentspanid"] = PARENT,
                ["x-b3-sampled"] = "true" }, PARENT },
      { "aws", { ["x-amzn-trace-id"] = AWS_ROOT .. "; Parent=" .. SPAN .. ";Sampled=1" } },
      { "gcp", { ["x-cloud-trace-context"] = TRACE .. "/13235353014750950193;o=1" } },
      { "instana", { ["x-instana-t"] = TRACE, ["x-instana-s"] = SPAN, ["x-instana-l"] = "1,correlationType=web" } },
    }
    for _, case in ipairs(cases) do
      assert.same({ TRACE, SPAN, case[3], true }, ids(extract(case[1], case[2])), case[1])
    end
    assert.same({ "0000000000000000" .. SHORT, SPAN, nil, false }, ids(extract("datadog", {
      ["x-datadog-trace-id"] = "9532127138774266268", ["x-datadog-parent-id"] = "13235353014750950193",
      ["x-datadog-sampling-priority"] = "-1",
    })))
  end)

  it("D1 keep the size that the id came in", function()
    local found = extract("b3", { ["x-b3-traceid"] = SHORT, ["x-b3-spanid"] = SPAN })
    assert.same({ 16, 8, true }, { #found.trace_id, found.trace_id_original_size, found.reuse_span_id })
  end)

  it("D1 read baggage, which cannot be added to", function()
    local found = extract("ot", {
      ["ot-tracer-traceid"] = TRACE, ["ot-tracer-spanid"] = SPAN, ["ot-baggage-a"] = "b%20c",
    })
    assert.same("b c", found.baggage.a)
    assert.error_matches(function() found.baggage.b = 1 end, "attempt to set immutable baggage")
  end)

  it("D1 find nothing in what is wrong or absent", function()
    local zeros = ("0"):rep(32)
    for _, case in ipairs {
      { "w3c", {} }, { "w3c", { traceparent = "junk" } },
      { "w3c", { traceparent = ("01-%s-%s-01"):format(TRACE, SPAN) } },
      { "w3c", { traceparent = ("00-%s-%s-01"):format(zeros, SPAN) } },
      { "w3c", { traceparent = ("00-%s-%s-1"):format(TRACE, SPAN) } }, { "w3c", { traceparent = { "a", "b" } } },
      { "jaeger", { ["uber-trace-id"] = "1:2:3" } }, { "jaeger", { ["uber-trace-id"] = "0:1:1:1" } },
      { "aws", { ["x-amzn-trace-id"] = "Root=2-1-1" } }, { "aws", { ["x-amzn-trace-id"] = "Sampled=2" } },
      { "gcp", { ["x-cloud-trace-context"] = "x" } }, { "instana", { ["x-instana-s"] = SPAN } },
      { "datadog", { ["x-datadog-sampling-priority"] = "5" } },
    } do
      assert.is_nil(extract(case[1], case[2]), case[1])
    end
    assert.is_nil(extract("b3", { b3 = "junk" }).trace_id)
    assert.is_nil(extract("b3", { ["x-b3-traceid"] = "xyz" }).trace_id)
  end)

  it("D1 the base says what is missing", function()
    local base = require(PATH .. "extractors._base")
    assert.same({ nil, "get_context() not implemented in base class" }, { base:new {}:get_context({}) })
    assert.error_matches(function() base:new { headers_validate = 1 } end,
      "invalid extractor instance: invalid headers_validate variable")
    local both = base:new { headers_validate = { all = { "a", "b" }, any = { "c" } } }
    assert.is_true(both:verify_headers({ a = 1, b = 1, c = 1 }))
    assert.is_false(both:verify_headers({ a = 1, c = 1 }))
    assert.is_false(both:verify_headers({ a = 1, b = 1 }))
  end)
end)

describe("D1 propagation: injectors", function()
  it("D1 each writes its headers", function()
    local cases = {
      { "w3c", { traceparent = ("00-%s-%s-01"):format(TRACE, SPAN) }, { w3c = TRACE } },
      { "b3", { ["x-b3-traceid"] = TRACE, ["x-b3-spanid"] = SPAN, ["x-b3-sampled"] = "1" }, { b3 = TRACE } },
      { "b3-single", { b3 = ("%s-%s-1"):format(TRACE, SPAN) }, { b3 = TRACE } },
      { "jaeger", { ["uber-trace-id"] = ("%s:%s:0:01"):format(TRACE, SPAN) }, { jaeger = TRACE } },
      { "ot", { ["ot-tracer-traceid"] = TRACE:sub(17), ["ot-tracer-spanid"] = SPAN, ["ot-tracer-sampled"] = "1" },
        { ot = TRACE:sub(17) } },
      { "datadog", { ["x-datadog-trace-id"] = "790211418057950173", ["x-datadog-parent-id"] = "13235353014750950193",
                     ["x-datadog-sampling-priority"] = "1" }, { datadog = "790211418057950173" } },
      { "aws", { ["x-amzn-trace-id"] = AWS_ROOT .. ";Parent=" .. SPAN .. ";Sampled=1" },
        { aws = TRACE } },
      { "gcp", { ["x-cloud-trace-context"] = TRACE .. "/13235353014750950193;o=1" }, { gcp = TRACE } },
      { "instana", { ["x-instana-t"] = TRACE, ["x-instana-s"] = SPAN, ["x-instana-l"] = "1" }, { instana = TRACE } },
    }
    for _, case in ipairs(cases) do
      local headers, id = inject(case[1], context())
      assert.same(case[2], headers, case[1])
      assert.same(case[3], id, case[1])
    end
  end)

  it("D1 ids keep their size where the format lets them", function()
    local headers = inject("ot", context { trace_id_original_size = 16 })
    assert.equal(TRACE, headers["ot-tracer-traceid"])
    headers = inject("b3-single", context { trace_id_original_size = 8, flags = "1", parent_id = from_hex(PARENT) })
    assert.equal(("%s-%s-d-%s"):format(TRACE:sub(17), SPAN, PARENT), headers.b3)
    assert.same({ b3 = "0" }, (inject("b3-single", {})))
    assert.same({ ["uber-trace-id"] = ("%s:%s:0:00"):format(TRACE, SPAN), ["uberctx-a"] = "b%20c" },
      (inject("jaeger", { trace_id = from_hex(TRACE), span_id = from_hex(SPAN), baggage = { a = "b c" } })))
  end)

  it("D1 say what the context lacks", function()
    local _, id, err = inject("w3c", { span_id = "12345678" })
    assert.same({ nil, "w3c injector context is invalid: field trace_id not found in context" }, { id, err })
    local base = require(PATH .. "injectors._base")
    assert.same({ nil, "headers() not implemented in base class" }, { base:create_headers({}) })
    assert.same({ nil, "trace_id() not implemented in base class" }, { base:get_formatted_trace_id("") })
    assert.error_matches(function() base:new { trace_id_allowed_sizes = {} } end,
      "invalid injector instance: invalid trace_id_allowed_sizes variable")
    assert.error_matches(function() base:new { span_id_size_bytes = 0 } end,
      "invalid injector instance: invalid span_id_size_bytes variable")
    local any = base:new { name = "n", context_validate = { any = { "a", "b" } } }
    assert.same({ false, "no required field found in context: a, b" }, { any:verify_context({}) })
  end)
end)

describe("D1 propagation: parameters", function()
  it("D1 older configurations are read as today's", function()
    local params = propagation.get_plugin_params
    local set = { extract = { "w3c" }, default_format = "w3c" }
    assert.equal(set, params({ propagation = set, header_type = "b3" }))
    assert.same({ inject = { "b3" }, default_format = "b3" },
      params({ header_type = "ignore", default_header_type = "b3" }))
    local preserve = params({ header_type = "preserve", propagation = { default_format = "w3c" } })
    assert.same({ { "preserve" }, "b3", 8 }, { preserve.inject, preserve.extract[1], #preserve.extract })
    assert.same({ "preserve", "ot" }, params({ header_type = "ot" }).inject)
  end)

  it("D1 ids: hexadecimal, sizes", function()
    assert.same({ nil, "not a string" }, { from_hex(1) })
    assert.equal("\1\35", from_hex("123"))
    assert.equal("\0\0a", utils.to_id_size("a", 3))
    assert.equal("bc", utils.to_id_size("abc", 2))
    assert.is_nil(utils.to_kong_trace_id(nil))
    assert.equal(16, #utils.to_kong_trace_id("a"))
    assert.equal(8, #utils.to_kong_span_id("a"))
  end)
end)
