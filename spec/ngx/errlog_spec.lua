local errlog = require "ngx.errlog"

describe("D4 ngx.log, print and ngx.errlog", function()
  it("D4 levels are nginx's", function()
    local levels = { "STDERR", "EMERG", "ALERT", "CRIT", "ERR", "WARN", "NOTICE", "INFO", "DEBUG" }
    for i, name in ipairs(levels) do
      assert.equal(i - 1, ngx[name])
    end
    assert.is_number(errlog.get_sys_filter_level())
  end)

  it("D4 ngx.log's arguments", function()
    local mt = { __tostring = function() return "shown" end }
    assert.is_nil(ngx.log(ngx.ERR, "spec ", 1, " ", true, " ", nil, " ", ngx.null, " ", setmetatable({}, mt)))
    assert.error_matches(function() ngx.log(ngx.ERR, {}) end,
      "bad argument #1 to 'log' %(expected table to have __tostring metamethod%)")
    assert.error_matches(function() ngx.log(ngx.ERR, "a", print) end,
      "bad argument #2 to 'log' %(string, number, boolean, or nil expected, got function%)")
    assert.error_matches(function() ngx.log(9, "a") end, "bad argument #1 to 'log' %(bad log level: 9%)")
    assert.error_matches(function() ngx.log(-1, "a") end, "bad argument #1 to 'log' %(bad log level: %-1%)")
    assert.error_matches(function() ngx.log("x", "a") end, "bad argument #1 to 'log' %(number expected, got string%)")
    assert.error_matches(function() ngx.log() end, "bad argument #1 to 'log' %(number expected, got no value%)")
  end)

  it("D4 below the level nothing is looked at", function()
    if errlog.get_sys_filter_level() < ngx.DEBUG then
      assert.is_nil(ngx.log(ngx.DEBUG, {}, print))
    end
  end)

  it("D4 print writes a notice of what ngx.log takes", function()
    assert.is_nil(print("spec ", 1, " ", nil, true))
    assert.error_matches(function() print({}) end,
      "bad argument #1 to 'print' %(expected table to have __tostring metamethod%)")
  end)

  it("D4 raw_log", function()
    assert.is_nil(errlog.raw_log(ngx.ERR, "spec: as it is"))
    assert.error_matches(function() errlog.raw_log("x", "a") end, "bad argument #1 to 'raw_log' %(must be a number%)")
    assert.error_matches(function() errlog.raw_log(4, {}) end, "bad argument #2 to 'raw_log' %(must be a string%)")
    assert.error_matches(function() errlog.raw_log(9, "a") end, "bad log level")
    assert.error_matches(function() errlog.raw_log(-1, "a") end, "bad log level")
  end)

  it("D4 capturing needs a directive", function()
    local set, err = errlog.set_filter_level(ngx.WARN)
    assert.same({ nil, 'directive "lua_capture_error_log" is not set' }, { set, err })
    set, err = errlog.set_filter_level()
    assert.same({ nil, 'missing "level" argument' }, { set, err })
    set, err = errlog.get_logs(10)
    assert.same({ nil, 'directive "lua_capture_error_log" is not set' }, { set, err })
  end)
end)
