local MetaSchema = require "kong.db.schema.metaschema"
local Entity = require "kong.db.schema.entity"
local sort = require "kong.db.schema.topological_sort"
local Schema = require "kong.db.schema"

local function meta(fields, rest)
  local definition = rest or {}
  definition.name, definition.primary_key, definition.fields = "spec_meta", { "id" }, fields
  return MetaSchema:validate(definition)
end

describe("B1 the metaschema", function()
  it("takes a schema, and names its table", function()
    local id = { id = { type = "string" } }
    local definition = { name = "spec_meta", primary_key = { "id" }, fields = { id } }
    assert.is_true(MetaSchema:validate(definition))
    assert.equal("spec_meta", definition.table_name)
  end)

  it("refuses attributes that a type cannot have or does not know", function()
    local ok, errors = meta { { id = { type = "boolean", uuid = true } } }
    assert.is_nil(ok)
    assert.equal("field of type 'boolean' cannot have attribute 'uuid'", errors.id)
    ok, errors = meta { { id = { type = "string", lenn_min = 1 } } }
    assert.is_nil(ok)
    assert.same({ fields = { { lenn_min = "unknown field" } } }, errors)
    ok, errors = meta { { id = { type = "strin" } } }
    assert.is_nil(ok)
    assert.matches("^expected one of: array, boolean,", errors.fields[1].type)
  end)

  it("judges a default by its field, however deep", function()
    assert.is_true(meta { { id = { type = "set", elements = { type = "string" }, default = { "a" } } } })
    local n = { n = { type = "integer", default = "x" } }
    local ok, errors = meta { { id = { type = "record", fields = { n } } } }
    assert.is_nil(ok)
    assert.same({ fields = { { fields = { { default = "expected an integer" } } } } }, errors)
    ok, errors = meta { { id = { type = "array", elements = { type = "integer" }, default = { 1, "x" } } } }
    assert.is_nil(ok)
    assert.same({ fields = { { default = { nil, "expected an integer" } } } }, errors)
  end)

  it("refuses keys that are no fields", function()
    local ok, errors = meta({ { id = { type = "string" } }, { tagged = { type = "number" } } },
      { endpoint_key = "name", cache_key = { "id" }, subschema_key = "tagged" })
    assert.is_nil(ok)
    assert.same({
      endpoint_key = "value must be a field name",
      cache_key = "a field used as a single cache key must be unique",
      subschema_key = "must be a string or set field",
    }, errors)
  end)

  it("refuses an entity check that is none, or two in one", function()
    local ok, errors = meta({ { id = { type = "string" } } }, { entity_checks = { { no_such_check = {} } } })
    assert.is_nil(ok)
    assert.equal("unknown field", errors.entity_checks[1].no_such_check)
    ok, errors = meta({ { id = { type = "string" } } },
      { entity_checks = { { only_one_of = { "a" }, distinct = { "a" } } } })
    assert.is_nil(ok)
    assert.matches("^exactly one of these fields must be non%-empty", errors.entity_checks[1]["@entity"][1])
  end)

  it("refuses a field that contains itself", function()
    local loop = { type = "array" }
    loop.elements = loop
    local ok, errors = meta { { id = loop } }
    assert.is_nil(ok)
    assert.equal("field contains itself", errors.id)
    assert.equal("nested too deeply (more than 200 levels)", errors.fields[1])
  end)
end)

describe("B1 entities", function()
  it("hold what can be stored", function()
    local function refusal(field)
      local ok, err = Entity.new { name = "spec_entity", fields = { { f = field } } }
      assert.is_nil(ok)
      return err
    end
    assert.equal("f: Entities cannot have nilable types.", refusal { type = "string", nilable = true })
    assert.equal("f: Entities cannot have function types.", refusal { type = "function" })
    assert.equal("f: Entities map keys must be strings.",
      refusal { type = "map", keys = { type = "number" }, values = { type = "string" } })
  end)
end)

describe("B1 topological_sort", function()
  it("puts what is referred to before what refers", function()
    local function schema(name, reference)
      return assert(Schema.new { name = name, fields = reference and {
        { f = { type = "foreign", reference = reference } },
      } or {} })
    end
    local a, z = schema "spec_z", nil
    z = schema("spec_a", "spec_z")
    local names = {}
    for i, found in ipairs(sort { z, a, schema "services" }) do
      names[i] = found.name
    end
    assert.same({ "services", "spec_z", "spec_a" }, names)
  end)
end)
