describe("D3 ngx.pipe", function()
  local pipe = require "ngx.pipe"
  local ffi = require "ffi"

  local function spawn(...)
    return assert(pipe.spawn(...))
  end

  -- What another handler does in its own time.
  local function comes(there)
    for _ = 1, 200 do
      if there() then
        return
      end
      ngx.sleep(0.01)
    end
  end

  it("D3 runs lists and shell commands, and says how they ended", function()
    assert.same({ true, "exit", 0 }, { spawn({ "true" }):wait() })
    assert.same({ false, "exit", 3 }, { spawn("exit 3"):wait() })
    assert.same({ false, "signal", 15 }, { spawn("kill -TERM $$"):wait() })
    local proc = spawn({ "echo", "a b", 1 })
    assert.equal("cdata", type(proc))
    assert.equal("number", type(proc:pid()))
    assert.equal("a b 1\n", proc:stdout_read_all())
    assert.same({ true, "exit", 0 }, { proc:wait() })
    assert.same({ nil, "exited" }, { proc:wait() })
    assert.same({ nil, "exited" }, { proc:kill(9) })
    assert.same({ nil, "closed" }, { proc:stdout_read_all() })
    assert.same({ nil, "closed" }, { proc:write("x") })
    assert.same({ nil, "closed" }, { proc:shutdown("stdin") })
  end)

  it("D3 a program that is not there exits with 1", function()
    assert.same({ false, "exit", 1 }, { spawn({ "no-such-program-here" }):wait() })
    assert.same({ false, "exit", 1 }, { spawn({ "/etc/passwd" }):wait() })
  end)

  it("D3 writes what it reads back", function()
    local proc = spawn({ "cat" })
    assert.equal(5, proc:write("hello"))
    assert.equal(3, proc:write({ " ", 4, "2" }))
    assert.equal(2, proc:write(17))
    assert.is_true(proc:shutdown("stdin"))
    assert.same({ nil, "closed" }, { proc:write("x") })
    assert.equal("hello 4217", proc:stdout_read_all())
    assert.equal("", proc:stdout_read_all(), "all of nothing is nothing")
    assert.same({ nil, "closed", "" }, { proc:stdout_read_any(10) })
    assert.is_true((proc:wait()))
  end)

  it("D3 carries more than a pipe holds", function()
    local long = ("x"):rep(300000)
    local proc = spawn({ "sh", "-c", "sleep 0.05; wc -c" })
    assert.equal(300000, proc:write(long))
    proc:shutdown("stdin")
    assert.equal("300000", (proc:stdout_read_line():gsub("%s", "")))
    proc = spawn({ "head", "-c", "300000", "/dev/zero" })
    assert.equal(300000, #proc:stdout_read_all())
  end)

  it("D3 reads lines, bytes and what there is", function()
    local proc = spawn([[printf 'one\r\ntwo\nthree'; printf 'err\n' >&2]])
    assert.equal("one", proc:stdout_read_line())
    assert.equal("tw", proc:stdout_read_bytes(2))
    assert.equal("", proc:stdout_read_bytes(0))
    assert.equal("o", proc:stdout_read_line())
    assert.equal("th", proc:stdout_read_any(2))
    assert.same({ nil, "closed", "ree" }, { proc:stdout_read_bytes(10) })
    assert.same({ nil, "closed", "" }, { proc:stdout_read_line() })
    assert.equal("err", proc:stderr_read_line())
    assert.same({ nil, "closed", "" }, { proc:stderr_read_any(10) })
    assert.equal("", proc:stderr_read_all())
    proc = spawn([[printf 'abc' >&2]])
    assert.equal("ab", proc:stderr_read_bytes(2))
    assert.same({ nil, "closed", "c" }, { proc:stderr_read_line() })
  end)

  it("D3 merges stderr", function()
    local proc = spawn("echo out; echo err >&2", { merge_stderr = true })
    assert.same({ nil, "merged to stdout" }, { proc:stderr_read_all() })
    assert.same({ nil, "merged to stdout" }, { proc:shutdown("stderr") })
    assert.equal("out\nerr\n", proc:stdout_read_all())
  end)

  it("D3 gives the environment it is told to", function()
    local proc = spawn({ "env" }, { environ = { "A=1", "B=two=2" } })
    local lines = {}
    for line in proc:stdout_read_all():gmatch("[^\n]+") do
      lines[#lines + 1] = line
    end
    table.sort(lines)
    assert.same({ "A=1", "B=two=2" }, lines)
  end)

  it("D3 keeps its timeouts", function()
    local proc = spawn("printf part; sleep 5", { stdout_read_timeout = 30, wait_timeout = 30 })
    assert.same({ nil, "timeout", "part" }, { proc:stdout_read_all() })
    assert.same({ nil, "timeout" }, { proc:wait() })
    proc:set_timeouts(nil, nil, 20)
    assert.same({ nil, "timeout", "" }, { proc:stderr_read_line() })
    proc:set_timeouts(30)
    assert.same({ nil, "timeout" }, { proc:write(("x"):rep(1000000)) })
    assert.is_true(proc:kill(9))
    assert.same({ false, "signal", 9 }, { proc:wait() })
  end)

  it("D3 kills, and knows who is gone", function()
    local proc = spawn({ "sleep", "5" })
    assert.is_true(proc:kill(0))
    assert.same({ nil, "invalid signal" }, { proc:kill(12345) })
    assert.is_true(proc:kill(15))
    ngx.sleep(0.05)
    assert.same({ nil, "exited" }, { proc:kill(15) })
    assert.same({ false, "signal", 15 }, { proc:wait() })
  end)

  it("D3 who has ended is gone though nobody waits, and is known to who waits later", function()
    local signal = require "resty.signal"
    local proc = spawn("exit 7")
    local pid = proc:pid()
    local ended
    comes(function()
      ended = not signal.kill(pid, "NONE")
      return ended
    end)
    assert.is_true(ended)
    assert.same({ nil, "exited" }, { proc:kill(9) })
    assert.same({ false, "exit", 7 }, { proc:wait() })
    assert.same({ nil, "exited" }, { proc:wait() })
    -- who waits already is told, whoever sees it first
    for n = 1, 30 do
      local short = spawn("sleep 0.00" .. n % 3 .. "; exit " .. n)
      ngx.thread.spawn(function()
        repeat
          ngx.sleep(0)
        until not short:kill(0)
      end)
      assert.same({ false, "exit", n }, { short:wait() })
    end
    local talker = spawn("echo said; exit 2")
    ngx.sleep(0.05)
    assert.equal("said", talker:stdout_read_line())
    assert.same({ false, "exit", 2 }, { talker:wait() })
  end)

  it("D3 what a killed thread waited for is free again", function()
    local function killed(f)
      for _, wait in ipairs({ 0, 0.02 }) do
        local thread = ngx.thread.spawn(f)
        ngx.sleep(wait)
        assert.equal(1, ngx.thread.kill(thread))
      end
    end
    local proc = spawn({ "sh", "-c", "sleep 0.5; echo out; echo err >&2; cat; exit 3" })
    killed(function() proc:stdout_read_line() end)
    killed(function() proc:stderr_read_line() end)
    killed(function() proc:wait() end)
    assert.equal("out", proc:stdout_read_line())
    assert.equal("err", proc:stderr_read_line())
    -- more than a pipe holds, which nobody reads
    killed(function() proc:write(("x"):rep(1e6)) end)
    proc:set_timeouts(20)
    assert.same({ nil, "timeout" }, { proc:write("y") })
    proc:shutdown("stdin")
    assert.equal("x", proc:stdout_read_bytes(1))
    proc:stdout_read_all()
    assert.same({ false, "exit", 3 }, { proc:wait() })
  end)

  it("D3 a process that nobody holds is killed", function()
    local pid = spawn({ "sleep", "20" }):pid()
    local signal = require "resty.signal"
    assert.is_true(signal.kill(pid, 0))
    for _ = 1, 50 do
      collectgarbage()
      ngx.sleep(0.01)
      if not signal.kill(pid, 0) then
        return
      end
    end
    error("it still lives")
  end)

  it("D3 a reader stands in the way of another, and is told of a shutdown", function()
    local proc = spawn({ "sleep", "5" })
    local seen = {}
    ngx.timer.at(0, function()
      seen.busy = { proc:stdout_read_line() }
      seen.waiting = { proc:wait() }
    end)
    ngx.timer.at(0.02, function()
      seen.second = { proc:stdout_read_line() }
      proc:shutdown("stdout")
    end)
    comes(function() return seen.busy end)
    assert.same({ nil, "pipe busy reading" }, seen.second)
    assert.same({ nil, "aborted", "" }, seen.busy)
    assert.same({ nil, "closed" }, { proc:stdout_read_line() })
    assert.same({ nil, "pipe busy waiting" }, { proc:wait() })
    proc:kill(9)
    comes(function() return seen.waiting end)
    assert.same({ false, "signal", 9 }, seen.waiting)
  end)

  it("D3 judges its arguments in OpenResty's words", function()
    for message, arguments in pairs {
      ["bad args arg: table expected, got number"] = { 1 },
      ["bad args arg: table expected, got nil"] = {},
      ["bad args arg: non%-empty table expected"] = { {} },
      ["bad buffer_size option"] = { "true", { buffer_size = 0 } },
      ["bad environ option: table expected, got string"] = { "true", { environ = "A=1" } },
      ["bad value at index 1 of environ option: string expected, got number"] = { "true", { environ = { 1 } } },
      ["bad value at index 2 of environ option: 'name=%[value%]' format expected, got 'B'"] =
        { "true", { environ = { "A=1", "B" } } },
      ["bad write_timeout option"] = { "true", { write_timeout = -1 } },
      ["bad stdout_read_timeout option"] = { "true", { stdout_read_timeout = 2 ^ 33 } },
      ["bad stderr_read_timeout option"] = { "true", { stderr_read_timeout = -1 } },
      ["bad wait_timeout option"] = { "true", { wait_timeout = -1 } },
    } do
      assert.error_matches(function() pipe.spawn(unpack(arguments, 1, 2)) end, message)
    end
    local proc = spawn("cat")
    assert.error_matches(function() proc:set_timeouts(-1) end, "bad write_timeout option")
    assert.error_matches(function() proc:stdout_read_bytes(-1) end, "bad len argument")
    assert.error_matches(function() proc:stderr_read_any("x") end, "bad max argument")
    assert.error_matches(function() proc:stdout_read_any(0) end, "bad max argument")
    assert.error_matches(function() proc:shutdown("x") end, "bad shutdown arg: x")
    assert.error_matches(function() proc:kill("9") end, "bad signal arg: number expected, got 9")
    assert.error_matches(function() proc:write(print) end, "bad data arg: string, number, or table expected, got function")
    for _, method in ipairs { "stdout_read_all", "stdout_read_line", "stderr_read_all", "write", "wait", "kill" } do
      assert.error_matches(function() proc[method]({}, 1) end, "not a process instance")
    end
    assert.is_true(ffi.istype(ffi.typeof(proc), proc))
  end)

  it("D3 resty.shell runs a command with all its ends", function()
    local shell = require "resty.shell"
    assert.same({ true, "HELLO", "", "exit", 0 }, { shell.run("tr a-z A-Z", "hello") })
    assert.same({ false, "out\n", "err\n", "exit", 3 }, { shell.run("echo out; echo err >&2; exit 3") })
    assert.same({ true, "x y", "", "exit", 0 }, { shell.run({ "printf", "%s", "x y" }, nil, 1000) })
    local _, stdout, _, reason = shell.run("yes", nil, 50, 100)
    assert.equal("failed to wait for process: timeout", reason)
    assert.equal(101, #stdout)
    _, stdout, _, reason = shell.run("printf %300s x", nil, 1000, 100)
    assert.equal("failed to read stdout: too much data", reason)
    assert.equal(101, #stdout)
  end)
end)
