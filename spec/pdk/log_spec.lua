local support = dofile "spec/pdk/support.lua"
local raised, junk, within = support.raised, support.junk, support.within

local LEVELS = { "emerg", "alert", "crit", "err", "warn", "notice", "info", "debug" }

describe("D1 kong.log", function()
  local sink = package.loaded["moongate.ngx.log"]
  local write, level = sink.write, nil
  local lines

  before_each(function()
    lines = {}
    level = sink.get_level()
    sink.write = function(severity, text)
      lines[#lines + 1] = { severity, text }
    end
  end)

  after_each(function()
    sink.write = write
    sink.set_level(level)
  end)

  local function texts()
    local all = {}
    for i, line in ipairs(lines) do
      all[i] = line[2]
    end
    return all
  end

  it("D1 kong.log and its levels write for nobody in particular", function()
    for i, name in ipairs(LEVELS) do
      sink.set_level(i)
      kong.log[name]("text ", i)
      assert.equal(i, lines[#lines][1])
      assert.matches("^%[kong%] log_spec%.lua:%d+ text " .. i .. "$", lines[#lines][2])
    end
    kong.log.deprecation("old")
    assert.matches("old$", lines[#lines][2])
    kong.log.inspect("shown")
    assert.equal("+" .. ("-"):rep(120) .. "+", lines[#lines][2])
    local n = #lines
    for i = 1, #LEVELS do
      sink.set_level(i - 1)
      kong.log[LEVELS[i]]("nothing")
    end
    assert.equal(n, #lines)
  end)

  it("D1 each level writes its severity, with file and line", function()
    sink.set_level(8)
    local log = kong.log.new("spec")
    for i, name in ipairs(LEVELS) do
      log[name]("a", 1, true, nil, i)
      assert.equal(i, lines[i][1])
      assert.matches("^%[kong%] log_spec%.lua:%d+ %[spec%] a1truenil" .. i .. "$", lines[i][2])
    end
    log("called")
    assert.equal(6, lines[9][1])
    log.trace("nothing unless Kong's own tests run")
    assert.equal(9, #lines)
  end)

  it("D1 what is below the level costs nothing and comes back with it", function()
    sink.set_level(4)
    local log = kong.log.new("spec")
    local counted = 0
    local value = setmetatable({}, { __tostring = function()
      counted = counted + 1
      return "x"
    end })
    log.warn(value)
    log.debug(value)
    assert.same({ 0, 0 }, { counted, #lines })
    log.err(value)
    assert.same({ 1, 1 }, { counted, #lines })
    sink.set_level(8)
    log.debug(value)
    assert.same({ 2, 2 }, { counted, #lines })
  end)

  it("D1 any number of arguments, of any kind", function()
    local log = kong.log.new("spec", "%message")
    log.err(1, 2, 3, 4, 5, 6, 7)
    assert.equal("[kong] 1234567", lines[1][2])
    for _, value in junk() do
      log.err(value, value)
      assert.equal("[kong] " .. tostring(value):rep(2), lines[#lines][2])
    end
  end)

  it("D1 set_format takes its modifiers and leaves the rest", function()
    local log = kong.log.new("my_namespace")
    local function here()
      log.err("hello ", "world")
    end
    local function with(format)
      log.set_format(format)
      here()
      return lines[#lines][2]
    end
    assert.equal("[kong] a hello world", with "a %message")
    assert.equal("[kong] useless", with "useless")
    assert.equal("[kong] hello world | hello world", with "%message | %message")
    assert.equal("[kong] (log_spec.lua) hello world", with "(%file_src) %message")
    assert.matches("^%[kong%] %(%d+%) hello world$", with "(%line_src) %message")
    assert.equal("[kong] (here) hello world", with "(%func_name) %message")
    assert.equal("[kong] {my_namespace} hello world", with "{%namespace} %message")
    assert.equal("[kong] %%namespace %%file_src %%func_name %%message hello world",
                 with "%%namespace %%file_src %%func_name %%message %message")
    assert.equal("[kong] %unknown hello world", with "%unknown %message")
    assert.matches("^%[kong%] log_spec%.lua:%d+ %[my_namespace%] hello world$", with(nil))
    for _, value in junk("nil", "string") do
      assert.equal("format must be a string", raised(log.set_format, value))
    end
  end)

  it("D1 new checks namespace and format", function()
    for _, value in junk("string") do
      assert.equal("namespace must be a string", raised(kong.log.new, value))
      if value then
        assert.equal("format must be a string if specified", raised(kong.log.new, "a", value))
      end
    end
    assert.equal("namespace cannot be an empty string", raised(kong.log.new, ""))
    assert.equal("format cannot be an empty string if specified", raised(kong.log.new, "a", ""))
  end)

  it("D1 inspect boxes what it shows, and can be turned off", function()
    sink.set_level(8)
    local log = kong.log.new("spec")
    local function here()
      log.inspect({ a = "foo" }, "two")
    end
    here()
    local all = texts()
    assert.matches('^%[kong%] log_spec%.lua:here:%d+ %[spec%]%-+%+$', all[1])
    assert.equal(122, #all[1])
    assert.matches('^|{%s+|$', all[2])
    assert.matches('^|  a = "foo"%s+|$', all[3])
    assert.matches('^|} "two"%s+|$', all[4])
    assert.equal("+" .. ("-"):rep(120) .. "+", all[5])
    assert.equal(6, lines[1][1])
    local n = #lines
    log.inspect.off()
    here()
    assert.equal(n, #lines)
    log.inspect.on()
    here()
    assert.equal(2 * n, #lines)
    log.inspect(("x"):rep(300))
    assert.equal(122, #lines[#lines - 1][2])
  end)

  it("D1 deprecation tells since when and until when", function()
    local log = kong.log.new("spec", "%file_src %message")
    local function last(...)
      log.deprecation(...)
      return lines[#lines][2]
    end
    assert.equal("[kong] log_spec.lua it is old", last("it", " is old"))
    assert.equal("[kong] log_spec.lua old (deprecated after 1.0)", last("old", { after = "1.0" }))
    assert.equal("[kong] log_spec.lua old (scheduled for removal in 2.0)", last("old", { removal = "2.0" }))
    assert.equal("[kong] log_spec.lua old (deprecated after 1.0, scheduled for removal in 2.0)",
                 last("old", { after = "1.0", removal = "2.0" }))
    assert.matches("^%[kong%] log_spec%.lua old .*log_spec%.lua:%d+", last("old", { trace = true }))
    assert.equal(5, lines[1][1])
    log.deprecation.write("plain ", 1)
    assert.matches("plain 1$", lines[#lines][2])
  end)

  it("D1 set_serialize_value checks key and mode", function()
    within(function()
      for _, value in junk("string") do
        assert.equal("key must be a string", raised(kong.log.set_serialize_value, value, 1))
      end
      for _, mode in ipairs { "x", "", 1, true } do
        assert.equal("mode must be 'set', 'add' or 'replace'",
                     raised(kong.log.set_serialize_value, "a", 1, { mode = mode }))
      end
      kong.log.set_serialize_value("a", 1)
      kong.log.set_serialize_value("a", 2, { mode = "add" })
      assert.same({ { key = "a", value = 1, mode = "set" }, { key = "a", value = 2, mode = "add" } },
                  ngx.ctx.serialize_values)
      local other = { ctx = {} }
      kong.log.set_serialize_value("b", 1, { ngx = other })
      assert.equal("b", other.ctx.serialize_values[1].key)
    end)
  end)
end)
