describe("D3 ngx.process", function()
  local process = require "ngx.process"

  it("D3 says what it is", function()
    assert.is_true(process.type() == "single" or process.type() == "worker")
    require("ffi").cdef "int getpid(void);"
    assert.equal(require("ffi").C.getpid(), process.get_master_pid())
  end)

  it("D3 says what is not there", function()
    assert.error_matches(process.signal_graceful_exit, "not supported: ngx.process.signal_graceful_exit")
    assert.same({ nil, "API disabled in the current context" }, { process.enable_privileged_agent() })
  end)

  it("D3 resty.signal knows signals by name", function()
    local signal = require "resty.signal"
    assert.equal(15, signal.signum("TERM"))
    assert.equal(9, signal.signum("KILL"))
    assert.equal(42, signal.signum(42))
    assert.same({ nil, "unknown signal name" }, { signal.signum("WHAT") })
    assert.is_true(signal.kill(process.get_master_pid(), "NONE"))
    assert.same({ nil, "unknown signal name" }, { signal.kill(1, "WHAT") })
    assert.same({ nil, "No such process" }, { signal.kill(4194303, "NONE") })
    assert.error(function() signal.kill(1) end)
  end)
end)
