local Schema = require "kong.db.schema"
local Entity = require "kong.db.schema.entity"
local cjson = require "cjson"

local null = ngx.null

-- { { a = ... }, ... } under the name `t`, judged after completing.
local function judged(fields, entity, rest)
  local definition = rest or {}
  definition.fields = fields
  local schema = assert(Schema.new(definition))
  local done, err = schema:process_auto_fields(entity, "insert")
  if not done then
    return nil, err
  end
  local ok, errors = schema:validate(done)
  return ok, errors, done
end

local function nested(levels, key)
  local t = {}
  for _ = 1, levels do
    t = { [key or "x"] = t }
  end
  return t
end

describe("B1 values", function()
  it("are refused in Kong's words, each at its field", function()
    local ok, errors = judged({
      { i = { type = "integer", between = { 1, 9 } } },
      { inf = { type = "integer" } },
      { s = { type = "string" } },
      { l = { type = "array", elements = { type = "string", len_max = 2 } } },
      { m = {
        type = "map",
        keys = { type = "string" },
        values = { type = "array", elements = { type = "number" } },
      } },
      { r = { type = "record", fields = { { n = { type = "number", required = true } } } } },
      { f = { type = "function" } },
      { b = { type = "boolean" } },
    }, {
      i = 10, inf = 1 / 0, s = "", l = { "ab", "abc", null }, m = { k = { 1, "x" } }, r = {}, f = 1,
      b = "true", other = 1,
    })
    assert.is_nil(ok)
    assert.same({
      i = "value should be between 1 and 9",
      inf = "expected an integer",
      s = "length must be at least 1",
      l = { nil, "length must be at most 2", "required field missing" },
      m = { nil, "expected a number" },
      r = { n = "required field missing" },
      f = "expected a function",
      b = "expected a boolean",
      other = "unknown field",
    }, errors)
  end)

  it("run their validators in a fixed order, and `err` stands for all of them", function()
    local fields = { { a = { type = "string", match = "^x", one_of = { "x1" }, len_max = 1 } } }
    local _, errors = judged(fields, { a = "yy" })
    assert.equal("expected one of: x1", errors.a)
    fields[1].a.err = "no such thing"
    _, errors = judged(fields, { a = "yy" })
    assert.equal("no such thing", errors.a)
  end)

  it("look options up the same way whether they are few or many", function()
    local options = { 1, 2, 3, 4, 5, 6, 7 }
    assert.truthy(judged({ { n = { type = "integer", one_of = options } } }, { n = 7 }))
    local _, errors = judged({ { n = { type = "integer", one_of = options } } }, { n = 8 })
    assert.equal("expected one of: 1, 2, 3, 4, 5, 6, 7", errors.n)
  end)

  it("tell subsets that exclude each other", function()
    local field = {
      type = "set",
      elements = { type = "string" },
      mutually_exclusive_subsets = { { "http", "https" }, { "tcp" }, { "grpc" } },
    }
    assert.truthy(judged({ { p = field } }, { p = { "https", "http" } }))
    local _, errors = judged({ { p = field } }, { p = { "grpc", "http", "tcp", "https" } })
    assert.equal("these sets are mutually exclusive: ('grpc'), ('http', 'https'), ('tcp')", errors.p)
  end)

  it("may be references to secrets where the field says so, whatever its validators are", function()
    local field = { type = "string", len_max = 3, referenceable = true }
    assert.truthy(judged({ { s = field } }, { s = "{vault://env/secret}" }))
    local _, errors = judged({ { s = field } }, { s = "{vault://env/secret" })
    assert.equal("length must be at most 3", errors.s)
    field.referenceable = nil
    _, errors = judged({ { s = field } }, { s = "{vault://env/secret}" })
    assert.equal("length must be at most 3", errors.s)
  end)

  it("are judged by any table that describes a field", function()
    local schema = Schema.new { fields = {} }
    assert.is_true(schema:validate_field({ type = "set", elements = { type = "integer", gt = 0 } }, { 1, 2 }))
    local map = { type = "map", keys = { type = "string" }, values = { type = "any" } }
    local ok, err = schema:validate_field(map, { 1 })
    assert.is_nil(ok)
    assert.equal("expected a string", err)
    ok, err = schema:validate_field({ type = "string", required = true }, null)
    assert.is_nil(ok)
    assert.equal("required field missing", err)
  end)
end)

describe("B1 limits", function()
  local anything = { { a = { type = "map", keys = { type = "string" }, values = { type = "any" } } } }

  it("nesting is taken up to a limit, beyond it is an error of the field", function()
    assert.truthy(judged(anything, { a = nested(100) }))
    local ok, errors = judged(anything, { a = nested(1000) })
    assert.is_nil(ok)
    assert.same({ a = "nested too deeply (more than 200 levels)" }, errors)
    ok, errors = judged(anything, { unknown = nested(1000) })
    assert.is_nil(ok)
    assert.same({ ["@entity"] = { "nested too deeply (more than 200 levels)" } }, errors)
  end)

  it("a table that holds itself is an error", function()
    local loop = {}
    loop.a, loop.b = loop, loop
    local ok, errors = judged(anything, { a = loop })
    assert.is_nil(ok)
    assert.same({ a = "nested too deeply (more than 200 levels)" }, errors)
  end)

  it("so it is in a record that was not completed, and in one that holds itself", function()
    local record = { type = "record", fields = { { n = { type = "integer" } } } }
    table.insert(record.fields, { r = record })
    local schema = assert(Schema.new { fields = { { r = record } } })
    assert.is_true(schema:validate { r = nested(10, "r") })
    local ok, errors = schema:validate { r = nested(1000, "r") }
    assert.is_nil(ok)
    assert.matches("nested too deeply", cjson.encode(errors), nil, true)
    local loop = {}
    loop.r = loop
    assert.is_nil((schema:validate(loop)))
    local data, err = schema:process_auto_fields(loop, "select")
    assert.is_nil(data)
    assert.matches("nested too deeply", cjson.encode(err), nil, true)
  end)
end)

describe("B1 completing", function()
  it("copies what it is given, and leaves it as it was", function()
    local given = { set = { "b", "a", "b" }, deep = { x = { 1 } }, unknown = { 1 } }
    local fields = {
      { set = { type = "set", elements = { type = "string" } } },
      { deep = {
        type = "map",
        keys = { type = "string" },
        values = { type = "array", elements = { type = "number" } },
      } },
    }
    local done = Schema.new({ fields = fields }):process_auto_fields(given, "insert")
    assert.same({ "b", "a" }, done.set)
    assert.is_true(done.set.a)
    assert.is_nil(done.set.c)
    assert.same({ "b", "a", "b" }, given.set)
    assert.is_nil(getmetatable(given.set))
    assert.not_equal(given.deep.x, done.deep.x)
    assert.not_equal(given.unknown, done.unknown)
    assert.equal(cjson.array_mt, getmetatable(done.deep.x))
  end)

  it("a set of many keeps the first of each", function()
    local given, wanted = {}, {}
    for i = 1, 30 do
      given[i] = "v" .. i % 12
      wanted[i] = i <= 12 and given[i] or nil
    end
    local schema = Schema.new { fields = { { s = { type = "set", elements = { type = "string" } } } } }
    assert.same(wanted, schema:process_auto_fields({ s = given }, "insert").s)
  end)

  it("gives each entity defaults of its own", function()
    local schema = Schema.new { fields = {
      { list = { type = "array", elements = { type = "string" }, default = { "x" } } },
      { r = { type = "record", required = true, fields = {
        { inner = {
          type = "record",
          required = true,
          fields = { { n = { type = "number", default = 7 } } },
        } },
        { off = { type = "record", fields = { { n = { type = "number", default = 7 } } } } },
      } } },
    } }
    local a, b = schema:process_auto_fields({}, "insert"), schema:process_auto_fields({}, "insert")
    assert.same({ list = { "x" }, r = { inner = { n = 7 }, off = null } }, a)
    assert.not_equal(a.list, b.list)
    assert.not_equal(a.r, b.r)
    a = schema:process_auto_fields({ r = { inner = null } }, "insert", nil, { no_defaults = true })
    assert.same({ list = null, r = { inner = null, off = null } }, a)
  end)

  it("an update touches only what it is about", function()
    local schema = Schema.new { fields = {
      { a = { type = "string", default = "x", immutable = true } },
      { updated_at = { type = "integer", auto = true } },
    } }
    local done, err, immutable = schema:process_auto_fields({}, "update")
    assert.is_nil(err)
    assert.is_true(immutable)
    assert.is_nil(done.a)
    assert.is_number(done.updated_at)
    assert.is_false(select(3, schema:process_auto_fields({}, "insert")))
  end)

  it("records in a record are complete when an entity is read", function()
    local schema = assert(Entity.new { name = "spec_reading", fields = {
      { id = { type = "string", uuid = true, auto = true } },
      { config = {
        type = "record",
        fields = { { n = { type = "number", default = 1 } }, { s = { type = "string" } } },
      } },
    } })
    local read = schema:process_auto_fields({ id = "x", gone = 1 }, "select")
    assert.same({ id = "x", config = { n = 1 } }, read)
    read = schema:process_auto_fields({ id = "x" }, "select", true)
    assert.same({ id = "x", config = { n = 1, s = null } }, read)
  end)
end)

describe("B1 judging", function()
  it("does not write to what it judges, even where a record is not complete", function()
    local record = { type = "record", fields = {
      { n = { type = "number", default = 1 } },
      { list = { type = "set", elements = { type = "string" } } },
    } }
    record.entity_checks = { { custom_entity_check = { field_sources = { "list", "n" }, fn = function(entity)
      entity.list[1] = "changed"
      return entity.n == 1 or nil, "n is not the default"
    end } } }
    local schema = Schema.new { fields = { { r = record } } }
    local given = { r = { list = { "a" } } }
    assert.is_true(schema:validate(given))
    assert.same({ r = { list = { "a" } } }, given)
    local done = schema:process_auto_fields(given, "insert")
    assert.is_true(schema:validate(done))
    assert.same({ "a" }, done.r.list)
  end)

  it("errors of shorthand fields in a list of records are not lost", function()
    local schema = Schema.new { fields = { { list = { type = "array", elements = {
      type = "record",
      fields = { { new = { type = "string" } } },
      shorthand_fields = { { old = { type = "string", func = function(v) return { new = v } end } } },
    } } } } }
    local ok, errors = schema:process_auto_fields({ list = { { old = "x" }, { old = 1 } } }, "insert")
    assert.is_nil(ok)
    assert.same({ old = "expected a string" }, errors)
    ok, errors = schema:validate { list = { { old = "x" }, { old = 1 } } }
    assert.is_nil(ok)
    assert.same({ list = { [2] = { old = "expected a string" } } }, errors)
  end)

  it("a check sees the fields that it names, and nothing else", function()
    local seen
    local text = { type = "string" }
    judged({ { a = text }, { r = { type = "record", fields = { { b = text }, { c = text } } } } },
      { a = "1", r = { b = "2", c = "3" } },
      { entity_checks = { { custom_entity_check = { field_sources = { "r.b" }, fn = function(entity)
        seen = entity
        return true
      end } } } })
    assert.same({ r = { b = "2" } }, seen)
  end)

  it("a check that was refused without a text tells what it was", function()
    local _, errors = judged({ { a = { type = "string" } } }, { a = "1" }, { entity_checks = {
      { custom_entity_check = { field_sources = { "a" }, fn = function() return nil end } },
    } })
    assert.matches("^failed entity check: custom_entity_check%(", errors["@entity"][1])
  end)

  it("conditions do not change the schema that they speak of", function()
    local fields = {
      { kind = { type = "string", one_of = { "full", "half" } } },
      { size = { type = "integer" } },
    }
    local checks = { { conditional = {
      if_field = "kind", if_match = { eq = "full" },
      then_field = "size", then_match = { required = true, gt = 5 },
    } } }
    local schema = Schema.new { fields = fields, entity_checks = checks }
    local ok, errors = schema:validate { kind = "full", size = 3 }
    assert.is_nil(ok)
    assert.equal("value must be greater than 5", errors.size)
    assert.same({ "failed conditional validation given value of field 'kind'" }, errors["@entity"])
    assert.is_true(schema:validate { kind = "half", size = 3 })
    assert.is_nil(schema.fields.size.gt)
    assert.is_nil(getmetatable(schema.entity_checks[1].conditional.then_match))
  end)

  it("an update says that it is one", function()
    local schema = Schema.new {
      fields = { { a = { type = "string" } }, { b = { type = "string" } } },
      entity_checks = { { only_one_of = { "a", "b" } }, { at_least_one_of = { "a", "b" } } },
    }
    local ok, errors = schema:validate_update { a = "1" }
    assert.is_nil(ok)
    assert.equal("field required for entity check when updating", errors.b)
    ok, errors = schema:validate_update { a = null }
    assert.is_nil(ok)
    assert.equal("when updating, at least one of these fields must be non-empty: 'a', 'b'",
      errors["@entity"][1])
    ok, errors = schema:validate { a = null, b = null }
    assert.is_nil(ok)
    assert.equal("at least one of these fields must be non-empty: 'a', 'b'", errors["@entity"][2])
  end)
end)

describe("B1 subschemas", function()
  local function parent()
    return assert(Entity.new {
      name = "spec_parent",
      subschema_key = "kind",
      subschema_error = "no such kind: %s",
      fields = {
        { kind = { type = "string", required = true } },
        { config = { type = "record", abstract = true } },
        { limit = { type = "integer", default = 1 } },
      },
    })
  end

  local function config(fields)
    return { name = "x", fields = { { config = { type = "record", fields = fields } } } }
  end

  it("say what an abstract field is, and are used as soon as they are there", function()
    local schema = parent()
    local ok, errors = schema:validate { kind = "a", config = {} }
    assert.is_nil(ok)
    assert.same({ kind = "no such kind: a" }, errors)
    assert(schema:new_subschema("a", config { { n = { type = "integer", default = 3 } } }))
    local done = schema:process_auto_fields({ kind = "a" }, "insert")
    assert.same({ kind = "a", config = { n = 3 }, limit = 1 }, done)
    assert.is_true(schema:validate(done))
    assert(schema:new_subschema("a", config { { m = { type = "integer", required = true } } }))
    ok, errors = schema:validate { kind = "a", config = { n = 3 } }
    assert.is_nil(ok)
    assert.same({ config = { n = "unknown field", m = "required field missing" } }, errors)
  end)

  it("must fit their parent", function()
    local schema = parent()
    local ok, err = schema:new_subschema("a", { name = "a", fields = { { extra = { type = "string" } } } })
    assert.is_nil(ok)
    assert.equal("error in definition of 'a': extra: cannot create a new field", err)
    ok, err = schema:new_subschema("a", { name = "a", fields = { { config = { type = "string" } } } })
    assert.is_nil(ok)
    assert.equal("error in definition of 'a': config: cannot change type in a specialized field", err)
    ok, err = Schema.new({ name = "spec_none", fields = {} }):new_subschema("a", config {})
    assert.is_nil(ok)
    assert.equal("error in definition of 'a': entities of type 'spec_none' cannot have subschemas", err)
  end)

  it("have their own checks", function()
    local schema = parent()
    local sub = config { { n = { type = "integer" } }, { m = { type = "integer" } } }
    sub.entity_checks = { { at_least_one_of = { "config.n", "config.m" } } }
    assert(schema:new_subschema("a", sub))
    local ok, errors = schema:validate(schema:process_auto_fields({ kind = "a" }, "insert"))
    assert.is_nil(ok)
    local text = "at least one of these fields must be non-empty: 'config.n', 'config.m'"
    assert.same({ ["@entity"] = { text } }, errors)
  end)
end)

describe("B1 foreign keys", function()
  it("are primary keys of what they refer to", function()
    assert(Schema.new {
      name = "spec_target",
      primary_key = { "id" },
      fields = { { id = { type = "string", uuid = true } } },
    })
    local schema = assert(Schema.new { name = "spec_source", fields = {
      { target = { type = "foreign", reference = "spec_target" } },
    } })
    assert.is_true(schema:validate { target = { id = "c1d2b0a4-8c53-4a3e-9d0e-0d3a5fd8f3a1" } })
    for given, err in pairs {
      [{ id = "x" }] = { id = "expected a valid UUID" },
      [{}] = { id = "missing primary key" },
      [1] = { id = "missing primary key" },
      ["x"] = { id = "missing primary key" },
    } do
      local ok, errors = schema:validate { target = given }
      assert.is_nil(ok)
      assert.same({ target = err }, errors)
    end
    local found = schema.fields.target.schema:get_constraints()
    assert.equal("target", found[1].field_name)
  end)
end)

describe("B1 errors_to_string", function()
  it("is one line, the same each time", function()
    local schema = Schema.new { fields = {} }
    assert.equal("Validation error: the whole; a: one; b: Validation error: c: two",
      schema:errors_to_string { b = { c = "two" }, a = "one", ["@entity"] = { "the whole" } })
    assert.is_nil(schema:errors_to_string {})
  end)
end)
