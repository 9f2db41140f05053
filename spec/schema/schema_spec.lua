local Schema = require "kong.db.schema"
local typedefs = require "kong.db.schema.typedefs"

local function judge(fields, input, rest)
  local definition = rest or {}
  definition.fields = fields
  local schema = assert(Schema.new(definition))
  local complete, errs = schema:process_auto_fields(input, "insert")
  if not complete then
    return nil, errs
  end
  local ok, err = schema:validate(complete)
  return ok and complete, err
end

describe("A10 schema", function()
  it("A10 fills defaults, nested ones too", function()
    local done = judge({
      { a = { type = "string", default = "x" } },
      { r = { type = "record", required = true, fields = { { n = { type = "number", default = 2 } } } } },
      { opt = { type = "string" } },
    }, {})
    assert.same({ a = "x", r = { n = 2 }, opt = ngx.null }, done)
  end)

  it("A10 says what is wrong in Kong's words", function()
    local _, err = judge({
      { a = { type = "string", required = true } },
      { b = { type = "set", elements = typedefs.http_method } },
      { c = typedefs.port },
    }, { b = { "get" }, c = "80", d = 1 })
    assert.same({
      a = "required field missing",
      b = { "invalid value: get" },
      c = "expected an integer",
      d = "unknown field",
    }, err)
  end)

  it("A10 variants of a typedef keep what they do not change", function()
    local host = typedefs.host { required = true, default = "localhost" }
    assert.equal("string", host.type)
    assert.is_true(host.required)
    assert.is_nil(typedefs.host.required)
    assert.has_error(function() return typedefs.no_such_thing end)
  end)

  it("A10 checks fields against each other", function()
    local fields = { { a = { type = "string" } }, { b = { type = "string" } } }
    local _, err = judge(fields, { a = "1", b = "1" }, { entity_checks = { { distinct = { "a", "b" } } } })
    assert.same({ ["@entity"] = { "values of these fields must be distinct: 'a', 'b'" } }, err)
    _, err = judge(fields, {}, { entity_checks = { { at_least_one_of = { "a", "b" } } } })
    assert.same({ ["@entity"] = { "at least one of these fields must be non-empty: 'a', 'b'" } }, err)
  end)

  it("A10 a reference to a secret passes the rules of its field", function()
    local fields = { { a = { type = "string", referenceable = true, len_max = 3 } } }
    assert.truthy(judge(fields, { a = "{vault://env/secret}" }))
    local _, err = judge(fields, { a = "long" })
    assert.equal("length must be at most 3", err.a)
  end)
end)
