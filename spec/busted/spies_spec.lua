local function message_of(fn)
  local ok, raised = pcall(fn)
  assert(not ok, "it was to fail")
  return (tostring(raised):gsub("^.-:%d+: ", "", 1))
end

describe("A14 spies", function()
  local object

  before_each(function()
    object = { add = function(a, b) return a + b end, name = "object", inner = { get = function() return "got" end } }
  end)

  it("A14 record calls and pass them on", function()
    local original = object.add
    local s = spy.on(object, "add")
    assert.equal(3, object.add(1, 2))
    assert.equal(7, object.add(3, 4))
    assert.is_true(spy.is_spy(object.add))
    assert.spy(s).was.called()
    assert.spy(s).was_called(2)
    assert.spy(s).was.called_with(1, 2)
    assert.spy(s).was_not.called_with(2, 1)
    assert.spy(s).returned_with(7)
    assert.spy(s).has_not.returned_with(8)
    assert.same({ 1, 2, n = 2 }, { s.calls[1].vals[1], s.calls[1].vals[2], n = s.calls[1].vals.n })
    s:clear()
    assert.spy(s).was_not.called()
    s:revert()
    assert.equal(original, object.add)
  end)

  it("A14 count calls", function()
    local s = spy.new(function() end)
    for _ = 1, 3 do s() end
    assert.spy(s).called_at_least(3)
    assert.spy(s).called_at_most(3)
    assert.spy(s).called_more_than(2)
    assert.spy(s).called_less_than(4)
    assert.equal("Expected to be called 2 time(s), but was called 3 time(s)",
      message_of(function() assert.spy(s).was.called(2) end))
    assert.equal("Expected to be called at most 2 time(s), but was called 3 time(s)",
      message_of(function() assert.spy(s).called_at_most(2) end))
    assert.equal("Expected to be called 0 time(s), but was called 3 time(s)",
      message_of(function() assert.spy(s).was_not.called() end))
    assert.equal("own words\nExpected to be called 1 time(s), but was called 3 time(s)",
      message_of(function() assert.spy(s, "own words").was.called(1) end))
  end)

  it("A14 keep arguments as they were, nils included", function()
    local s = spy.new(function() end)
    local t = { 1 }
    s(t, nil)
    t[1] = 2
    assert.spy(s).was.called_with({ 1 }, nil)
    assert.spy(s).was_not.called_with({ 2 }, nil)
    assert.spy(s).was_not.called_with({ 1 })
    assert.spy(s).was.called_with(match.is_ref(t), nil)
    assert.equal("Function was never called with matching arguments.\n"
      .. "Called with (last call if any):\n(values list) ()\nExpected:\n(values list) ((number) 5)",
      message_of(function()
        local empty = spy.new(function() end)
        empty()
        assert.spy(empty).was.called_with(5)
      end))
  end)

  it("A14 go back with their snapshot", function()
    local original = object.add
    local snapshot = assert:snapshot()
    spy.on(object, "add")
    stub(object.inner, "get")
    assert.is_nil(object.inner.get())
    snapshot:revert()
    assert.equal(original, object.add)
    assert.equal("got", object.inner.get())
  end)

  it("A14 refuse what cannot be called", function()
    assert.has_error(function() spy.on(object, "name") end,
      "Cannot spy on type 'string', only on functions or callable elements")
    assert.error_matches(function() assert.spy(object.add).was.called() end, "must not be the original function")
    assert.error_matches(function() assert.was.called_with(1) end, "must be chained after")
  end)
end)

describe("A14 stubs", function()
  local object
  before_each(function()
    object = { get = function() return "real" end }
  end)

  it("A14 answer instead of the original", function()
    local s = stub(object, "get")
    assert.is_nil(object.get("x"))
    assert.stub(s).was.called_with("x")
    assert.equal("real", s:revert()())
    assert.equal("real", object.get())
    stub(object, "get", "a", nil, "c")
    assert.same({ "a", nil, "c" }, { object.get() })
    stub(object, "get", function(n) return n * 2 end)
    assert.equal(8, object.get(4))
    assert.is_nil(stub.new()())
    assert.equal(1, stub().returns(1)())
  end)

  it("A14 answer by argument", function()
    stub(object, "get").returns("default")
    object.get.on_call_with("a").returns("A", 1)
    object.get.on_call_with(match.is_number()).invokes(function(n) return n + 1 end)
    assert.same({ "A", 1 }, { object.get("a") })
    assert.equal(6, object.get(5))
    assert.equal("default", object.get("b"))
    object.get.by_default.invokes(function(x) return x .. "!" end)
    assert.equal("b!", object.get("b"))
  end)

  it("A14 refuse what is not a function's place", function()
    object.text = "x"
    assert.error_matches(function() stub(object, "text") end, "must either be callable, or be nil")
    assert.error_matches(function() stub("x", "y") end, "Can only create stub on a table key")
  end)
end)

describe("A14 mocks", function()
  it("A14 spy on or stub a whole table", function()
    local object = { a = function() return 1 end, deep = { b = function() return 2 end }, n = 5 }
    object.self = object
    assert.equal(object, mock(object))
    assert.equal(2, object.deep.b())
    assert.spy(object.deep.b).was.called(1)
    mock.clear(object)
    assert.spy(object.deep.b).was_not.called()
    mock.revert(object)
    assert.is_function(object.a)
    mock(object, true)
    assert.is_nil(object.a())
    assert.equal(5, object.n)
    mock.revert(object)
    assert.equal(1, object.a())
  end)
end)

describe("A14 matchers", function()
  -- name, arguments, a value that matches, one that does not
  local CASES = {
    { "is_true", {}, true, 1 }, { "is_false", {}, false, nil },
    { "is_truthy", {}, 0, nil }, { "is_falsy", {}, nil, 0 },
    { "is_nil", {}, nil, 0 }, { "is_boolean", {}, false, 0 }, { "is_number", {}, 0, "0" },
    { "is_string", {}, "", 0 }, { "is_table", {}, {}, "" }, { "is_function", {}, print, {} },
    { "is_userdata", {}, io.stdout, {} }, { "is_thread", {}, coroutine.create(print), {} },
    { "is_same", { { 1 } }, { 1 }, { 2 } }, { "is_equal", { 5 }, 5, 6 },
    { "has_match", { "%d" }, "a1", "a" }, { "matches", { "x", 2 }, "ax", "xa" },
    { "is_near", { 1, 0.5 }, 1.2, 2 }, { "is_unique", {}, { 1, 2 }, { 1, 1 } },
  }

  it("A14 judge values", function()
    for _, case in ipairs(CASES) do
      local matcher = match[case[1]](unpack(case[2]))
      assert.is_true(match.is_matcher(matcher))
      assert.is_true(matcher(case[3]), case[1])
      assert.is_false(matcher(case[4]), case[1])
    end
    assert.is_true(match.is_not_nil()(1))
    assert.is_false(match.is_not.string()("x"))
    assert.is_true(match._(nil))
    local t = {}
    assert.is_true(match.is_ref(t)(t))
    assert.is_false(match.is_ref(t)({}))
  end)

  it("A14 combine", function()
    local number, big = match.is_number(), match.is_near(100, 10)
    assert.is_true(match.all_of(number, big)(99))
    assert.is_false(match.all_of(number, big)(5))
    assert.is_true(match.any_of(number, match.is_nil())(nil))
    assert.is_false(match.any_of(number, match.is_nil())("x"))
    assert.is_true(match.none_of(number, match.is_nil())("x"))
    assert.is_false(match.none_of(number)(1))
    assert.error_matches(function() match.all_of(number, 5) end, "bad argument #2 to 'all' %(matcher expected, got number%)")
  end)

  it("A14 stand for arguments, and can be one's own", function()
    assert:register("matcher", "a14_even", function()
      return function(value) return type(value) == "number" and value % 2 == 0 end
    end)
    finally(function() assert:unregister("matcher", "a14_even") end)
    local s = spy.new(function() end)
    s(4, "x", nil)
    assert.spy(s).was.called_with(match.is_a14_even(), match._, match.is_nil())
    assert.spy(s).was_not.called_with(match.is_not.a14_even(), match._, match._)
    assert.has_error(function() match.is_a14_odd() end, "luassert: unknown modifier/matcher: 'is_a14_odd'")
  end)
end)
