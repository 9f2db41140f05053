describe("B2 kong.tools.sandbox", function()
  local sandbox = require "kong.tools.sandbox"
  local before

  local function set(untrusted, requires, environment)
    _G.kong = setmetatable({ configuration = {
      untrusted_lua = untrusted,
      untrusted_lua_sandbox_requires = requires,
      untrusted_lua_sandbox_environment = environment,
      remove_sensitive = function() return { pg_password = "******" } end,
      pg_password = "secret",
    } }, { __index = before })
    sandbox.configuration:reload()
  end

  setup(function() before = _G.kong end)
  after_each(function()
    _G.kong = before
    sandbox.configuration:reload()
  end)

  it("B2 off: nothing runs", function()
    set "off"
    local ok, err = sandbox.validate("return function() end")
    assert.is_false(ok)
    assert.matches("untrusted_lua' config option is set to 'off'", err)
  end)

  it("B2 on: everything runs, globals cannot be set", function()
    set "on"
    assert.equal(os, sandbox.sandbox("x = 1 return os")())
    assert.is_nil(rawget(_G, "x"))
  end)

  it("B2 sandbox: only what is safe or allowed", function()
    set("sandbox", { "pl.Set" }, { "pl.data" })
    assert.is_nil(sandbox.sandbox("return os.execute or io.open or debug or loadstring")())
    assert.equal(require "pl.Set", sandbox.sandbox("return require('pl.Set')")())
    assert.has_error(function() sandbox.sandbox("return require('ffi')")() end,
      "require 'ffi' not allowed within sandbox")
    assert.equal("******", sandbox.sandbox("return kong.configuration.pg_password")())
  end)

  it("B2 checks a function without running it, or by what it returns", function()
    set "sandbox"
    assert.is_true(sandbox.validate_safe("error('x')"))
    local ok, err = sandbox.validate("return 1")
    assert.is_false(ok)
    assert.equal("Bad return value from function, expected function type, got number", err)
    ok, err = sandbox.validate_safe("return (")
    assert.is_false(ok)
    assert.matches("^Error parsing function: ", err)
    assert.has_error(function() sandbox.sandbox(string.dump(function() end)) end)
  end)

  it("B2 strict kinds see no kong, handlers the request's part of it", function()
    set "sandbox"
    assert.is_nil(sandbox.sandbox_lua("return kong")())
    assert.is_nil(sandbox.sandbox_schema("return ngx")())
    assert.is_function(sandbox.sandbox_handler("return kong.request.get_header")())
    assert.is_nil(sandbox.sandbox_handler("return kong.db and kong.db.connector")())
    assert.has_error(function() sandbox.sandbox_handler("string.x = 1")() end)
    assert.has_error(function() sandbox.sandbox_handler("y = 1")() end)
  end)
end)
