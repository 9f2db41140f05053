local request = require "moongate.spec.request"

describe("D3 ngx.worker", function()
  it("D3 says who this worker is", function()
    assert.equal("number", type(ngx.worker.pid()))
    assert.is_true(ngx.worker.count() >= 1)
    assert.is_false(ngx.worker.exiting())
    local id = ngx.worker.id()
    assert.is_true(id == nil or id >= 0 and id < ngx.worker.count())
    local pids = ngx.worker.pids()
    assert.equal("table", type(pids))
    for _, pid in ipairs(pids) do
      assert.equal("number", type(pid))
    end
  end)

  it("D3 is the same in every phase", function()
    local id, pid, count = ngx.worker.id(), ngx.worker.pid(), ngx.worker.count()
    for _, phase in ipairs { "rewrite", "access", "header_filter", "body_filter", "log" } do
      request { steps = { { phase, function()
        assert.same({ id, pid, count }, { ngx.worker.id(), ngx.worker.pid(), ngx.worker.count() })
        assert.is_false(ngx.worker.exiting())
      end } } }
    end
  end)
end)

describe("D3 ngx.on_abort", function()
  it("D3 is not for code without a client", function()
    assert.error_matches(function() ngx.on_abort(function() end) end, "API disabled in the context of ngx.timer")
  end)

  it("D3 is off unless lua_check_client_abort is on", function()
    request { steps = { { "access", function()
      assert.same({ nil, "lua_check_client_abort is off" }, { ngx.on_abort(function() end) })
      assert.same({ nil, "lua_check_client_abort is off" }, { ngx.on_abort("junk") })
    end } } }
  end)
end)

describe("D3 ngx.run_worker_thread", function()
  local run = ngx.run_worker_thread

  it("D3 calls a module's function elsewhere and gives what it returns", function()
    assert.same({ true, "ababab" }, { run("default", "string", "rep", "ab", 3) })
    assert.same({ true, 2, 3 }, { run("default", "string", "find", "abc", "bc") })
    assert.same({ n = 2, true, nil }, table.pack(run("default", "string", "match", "abc", "x")))
    assert.same({ n = 1, true }, table.pack(run("default", "table", "sort", {})))
  end)

  it("D3 copies tables, there and back", function()
    local given = { 1, { a = true, b = "x" }, [2.5] = false }
    local ok, back = run("default", "table", "pack", given, nil, 3)
    assert.is_true(ok)
    assert.same({ n = 3, given, nil, 3 }, back)
    assert.not_equal(given, back[1])
    assert.same({ true, "1,2,x" }, { run("default", "table", "concat", { 1, 2, "x" }, ",") })
  end)

  it("D3 others run meanwhile", function()
    local turns = 0
    local counting = ngx.thread.spawn(function()
      for _ = 1, 3 do
        ngx.sleep(0.001)
        turns = turns + 1
      end
    end)
    assert.is_true((run("default", "string", "rep", "x", 10)))
    ngx.thread.wait(counting)
    assert.equal(3, turns)
  end)

  it("D3 an error there is false and its text", function()
    local ok, err = run("default", "string", "rep")
    assert.is_false(ok)
    assert.matches("bad argument #1 to '.-' %(string expected, got no value%)", err)
    ok, err = run("default", "no.such.module", "f")
    assert.is_false(ok)
    assert.matches("module 'no.such.module' not found:", err, 1, true)
    assert.same({ false, "invalid lua module" }, { run("default", "table.clone", "f") })
    assert.same({ false, "invalid function" }, { run("default", "string", "nothing") })
  end)

  it("D3 what cannot be copied is refused", function()
    for kind, value in pairs {
      LUA_TFUNCTION = print, LUA_TUSERDATA = newproxy(), LUA_TTHREAD = coroutine.create(print),
    } do
      local text = "unsupported Lua type: " .. kind .. " in the argument"
      assert.same({ false, text }, { run("default", "string", "rep", value) })
      assert.same({ false, text }, { run("default", "string", "rep", { { value } }) })
    end
    local ring = {}
    ring[1] = ring
    assert.same({ false, "suspicious circular references, table depth exceed max depth: 100 in the argument" },
                { run("default", "string", "rep", ring) })
    assert.same({ false, "unsupported Lua type: LUA_TFUNCTION in the return value" },
                { run("default", "string", "gmatch", "a", "b") })
  end)

  it("D3 says what is wrong with its arguments", function()
    assert.same({ false, "expecting at least 3 arguments" }, { run() })
    assert.same({ false, "expecting at least 3 arguments" }, { run("default", "m") })
    for _, junk in ipairs { true, {}, print } do
      assert.same({ false, "threadpool should be a string" }, { run(junk, "m", "f") })
      assert.same({ false, "module name should be a string" }, { run("default", junk, "f") })
      assert.same({ false, "function name should be a string" }, { run("default", "m", junk) })
    end
    assert.same({ false, "thread pool nowhere not found" }, { run("nowhere", "m", "f") })
  end)

  it("D3 is for phases that may wait", function()
    for _, phase in ipairs { "header_filter", "body_filter", "log" } do
      request { steps = { { phase, function()
        assert.error_matches(function() run("default", "string", "rep", "x", 1) end,
                             "API disabled in the context of " .. phase .. "_by_lua%*")
      end } } }
    end
  end)
end)
