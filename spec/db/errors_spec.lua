local Errors = require "kong.db.errors"

describe("B5 kong.db.errors", function()
  local errors = Errors.new("off")

  it("numbers 21 kinds, each with a name", function()
    local n = 0
    for _, code in pairs(Errors.codes) do
      n = n + 1
      assert.is_string(Errors.names[code])
    end
    assert.equal(21, n)
    assert.equal(12, Errors.codes.OPERATION_UNSUPPORTED)
    assert.equal(14, errors.codes.DECLARATIVE_CONFIG)
    assert.equal(6, errors.NOT_FOUND)
  end)

  it("reads as its message, after its strategy", function()
    local err_t = errors:operation_unsupported("no")
    assert.equal("[off] no", tostring(err_t))
    assert.equal("[off] no!", err_t .. "!")
    assert.equal("no", tostring(Errors.new():operation_unsupported("no")))
  end)

  it("has a constructor of every kind, plain where there is no other", function()
    local err_t = errors:invalid_search_query()
    assert.same({ code = 20, name = "invalid search query", message = ngx.null, strategy = "off" }, err_t)
    assert.equal("[off] invalid search query", tostring(err_t))
    assert.is_nil(errors.no_such_kind)
  end)

  it("counts violations, entity checks first, then by field", function()
    local err_t = errors:schema_violation {
      zone = "unknown field",
      ["@entity"] = { "at least one of these fields must be non-empty: 'a', 'b'" },
      config = { b = "required field missing", a = { c = "expected a string" } },
    }
    assert.matches("^4 schema violations %(at least one of", err_t.message)
    assert.matches("; config%.a: {.*c = \"expected a string\".*}; config%.b: required field missing; zone: ",
      err_t.message)
    assert.equal("unknown field", err_t.fields.zone)
    assert.equal("schema violation (x: y)", errors:schema_violation({ x = "y" }).message)
  end)

  it("keeps its own copy of what was wrong", function()
    local problems = { x = "y" }
    local err_t = errors:schema_violation(problems)
    problems.x = nil
    assert.same({ x = "y" }, err_t.fields)
    assert.same({ size = "bad" }, errors:invalid_options({ size = "bad" }).options)
  end)

  it("says which foreign key leads nowhere", function()
    local err_t = errors:foreign_keys_unresolved {
      service = { name = { name = "name", value = "s1", parent = "services" } },
    }
    local text = "the foreign key cannot be resolved with '{name=\"s1\"}' for an existing 'services' entity"
    assert.equal("foreign key unresolved (service.name: " .. text .. ")", err_t.message)
    assert.same({ service = { name = text } }, err_t.fields)
  end)

  it("shows null as null in a unique key, as a value elsewhere", function()
    local key = { name = ngx.null }
    assert.equal("UNIQUE violation detected on '{name=null}'", errors:unique_violation(key).message)
    assert.equal("could not find the entity with '{name=\"userdata: NULL\"}'",
      errors:not_found_by_field(key).message)
  end)

  it("passes on an error that is one already", function()
    local err_t = errors:not_found({ id = "x" })
    assert.equal(err_t, errors:database_error(err_t))
  end)

  it("wants arguments of the right type", function()
    assert.has_error(function() errors:invalid_offset(1, "x") end, "offset must be a string")
    assert.has_error(function() errors:schema_violation("x") end, "errors must be a table")
    assert.has_error(function() errors:invalid_unique("name", {}) end, "err must be a string")
  end)
end)
