local cjson = require "cjson"
local ljsonschema = require "resty.ljsonschema"

local function check(schema, value, options)
  return ljsonschema.generate_validator(schema, options or { array_mt = false })(value)
end

local function refused(expected, schema, value, options)
  local ok, err = check(schema, value, options)
  assert.is_false(ok)
  assert.equal(expected, err)
end

describe("B2 resty.ljsonschema", function()
  it("B2 tells types apart, integers by value", function()
    assert.is_true(check({ type = "integer" }, 3.0))
    refused("wrong type: expected integer, got number", { type = "integer" }, 3.5)
    refused("wrong type: expected string, got array", { type = "string" }, { 1 })
    refused("wrong type: expected string, got null", { type = "string" }, cjson.null)
    refused("wrong type: expected one of string, null, got boolean", { type = { "string", "null" } }, true)
    assert.is_true(check({ type = "array" }, {}))
    assert.is_true(check({ type = "object" }, {}))
  end)

  it("B2 knows arrays by their metatable unless told not to", function()
    assert.is_true(check({ type = "array" }, setmetatable({ 1 }, cjson.array_mt), {}))
    refused("wrong type: expected array, got object", { type = "array" }, { 1 }, {})
  end)

  it("B2 names the property that is wrong, down to the last", function()
    local schema = {
      type = "object",
      properties = { a = { type = "object", properties = { b = { type = "number", maximum = 3 } } } },
      required = { "a" },
    }
    refused("property a is required", schema, {})
    refused("property a validation failed: property b validation failed: expected 4 to be smaller than 3",
      schema, { a = { b = 4 } })
  end)

  it("B2 closes objects, by pattern or by schema", function()
    local schema = { properties = { a = {} }, patternProperties = { ["^x_"] = { type = "string" } },
      additionalProperties = false }
    assert.is_true(check(schema, { a = 1, x_b = "y" }))
    refused("additional properties forbidden, found b", schema, { b = 1 })
    refused("failed to validate x_b (matching ^x_): wrong type: expected string, got integer", schema,
      { x_b = 1 })
    refused("failed to validate additional property b: wrong type: expected string, got integer",
      { additionalProperties = { type = "string" } }, { b = 1 })
  end)

  it("B2 checks items, their number and that they differ", function()
    refused("failed to validate item 2: wrong type: expected string, got integer",
      { items = { type = "string" } }, { "a", 2 })
    refused("found unexpected extra items in array", { items = { {}, {} }, additionalItems = false },
      { 1, 2, 3 })
    refused("expect array to have at least 2 items", { minItems = 2 }, { 1 })
    refused("expected unique items but items 3 and 1 are equal", { uniqueItems = true },
      { { a = 1 }, 2, { a = 1 } })
  end)

  it("B2 measures text in characters", function()
    assert.is_true(check({ maxLength = 2 }, "äö"))
    refused("string too long, expected at most 2, got 3", { maxLength = 2 }, "äöü")
    refused('failed to match pattern ^a%d with "b"', { pattern = "^a%d" }, "b")
  end)

  it("B2 knows dates, also that a leap year's February has 29 days", function()
    assert.is_true(check({ format = "date-time" }, "2024-02-29T23:59:60Z"))
    assert.is_true(check({ format = "time" }, "10:00:00+02:00"))
    refused('expected valid leap year date, got "2024-02-30"', { format = "date" }, "2024-02-30")
    refused('expected valid "date", got "2023-02-29"', { format = "date" }, "2023-02-29")
  end)

  it("B2 joins schemas", function()
    refused("value should match only one schema, but matches both schemas 1 and 2",
      { oneOf = { { type = "number" }, { type = "integer" } } }, 1)
    refused("object needs one of the following rectifications: 1) wrong type: expected string, got integer; "
      .. "2) expected 1 to be greater than 2", { anyOf = { { type = "string" }, { minimum = 2 } } }, 1)
    refused("value wasn't supposed to match schema", { ["not"] = { type = "string" } }, "x")
    refused("allOf 2 failed: matches none of the enum values",
      { allOf = { {}, { enum = { 1, { a = 2 } } } } }, { a = 3 })
  end)

  it("B2 follows references, also to the schema itself", function()
    local tree = { type = "object",
      properties = { left = { ["$ref"] = "#" }, v = { ["$ref"] = "#/definitions/n" } },
      definitions = { n = { type = "number" } } }
    assert.is_true(check(tree, { left = { left = { v = 1 } } }))
    refused("property left validation failed: property v validation failed: "
      .. "wrong type: expected number, got string", tree, { left = { v = "x" } })
    refused("wrong type: expected number, got string", {
      definitions = { a = { id = "#it", type = "number" }, [""] = { ["b~/%"] = { ["$ref"] = "#it" } } },
      ["$ref"] = "#/definitions//b~0~1%25",
    }, "x")
    assert.has_error(function() check({ ["$ref"] = "http://x.test/y" }, 1) end)
    assert.is_true(check({ ["$ref"] = "http://x.test/y" }, 1, {
      external_resolver = function() return { type = "number" } end,
    }))
  end)

  it("B2 judges schemas by the metaschema", function()
    assert.is_true(check(require "resty.ljsonschema.metaschema", { type = "string", maxLength = 3 }))
    refused("property type validation failed: object needs one of the following rectifications: "
      .. "1) matches none of the enum values; 2) wrong type: expected array, got string",
      require "resty.ljsonschema.metaschema", { type = "strin" })
  end)

  it("B2 takes text for numbers and booleans if told to", function()
    assert.is_true(check({ type = "number", minimum = 2 }, "3", { coercion = true }))
    refused("expected 1 to be greater than 2", { type = "number", minimum = 2 }, "1", { coercion = true })
  end)
end)
