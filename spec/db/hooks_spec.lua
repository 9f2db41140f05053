local hooks = require "kong.hooks"

describe("B5 kong.hooks", function()
  after_each(hooks.clear_hooks)

  it("answers the first argument where there is no hook", function()
    assert.same({ "row" }, { hooks.run_hook("dao:none:pre", "row", "entity") })
  end)

  it("lets the last hook's results win, nils included", function()
    hooks.register_hook("h", function() return 1 end)
    hooks.register_hook("h", function() return 2, nil, 3 end)
    local a, b, c = hooks.run_hook("h", 0)
    assert.equal(2, a)
    assert.is_nil(b)
    assert.equal(3, c)
  end)

  it("stops at the first that answers nil or false, and keeps its error", function()
    local later = spy.new(function() return true end)
    hooks.register_hook("h", function() return false, "no" end)
    hooks.register_hook("h", function(...) return later(...) end)
    assert.same({ false, "no" }, { hooks.run_hook("h", true) })
    assert.spy(later).was_not_called()
  end)

  it("calls low-level hooks even then", function()
    hooks.register_hook("h", function() return nil, "no" end)
    hooks.register_hook("h", function(results, given)
      return { results[2] .. given, n = 1 }
    end, { low_level = true })
    assert.equal("no!", (hooks.run_hook("h", "!")))
  end)

  it("passes more than six arguments", function()
    hooks.register_hook("h", function(...) return select("#", ...), (select(8, ...)) end)
    assert.same({ 8, "h" }, { hooks.run_hook("h", "a", "b", "c", "d", "e", "f", "g", "h") })
  end)

  it("refuses what is not a function", function()
    assert.has_error(function() hooks.register_hook("h", {}) end, "hook must be a function")
  end)
end)
