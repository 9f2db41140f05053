describe("D5 LuaJIT as plugins know it", function()
  local ffi = require "ffi"

  it("D5 table.isempty, isarray, nkeys, clone are modules and fields", function()
    for _, name in ipairs { "isempty", "isarray", "nkeys", "clone", "new", "clear" } do
      assert.equal(table[name], require("table." .. name), name)
    end
  end)

  it("D5 table.isempty", function()
    local isempty = require "table.isempty"
    assert.is_true(isempty({}))
    assert.is_true(isempty({ nil, dog = nil }))
    assert.is_false(isempty({ "a", "b" }))
    assert.is_false(isempty({ nil, 3 }))
    assert.is_false(isempty({ cat = 3 }))
    assert.is_false(isempty({ false }))
    assert.error_matches(function() isempty() end, "bad argument #1 to 'isempty' %(table expected, got no value%)")
    assert.error_matches(function() isempty(nil) end, "bad argument #1 to 'isempty' %(table expected, got nil%)")
    assert.error_matches(function() isempty("x") end, "bad argument #1 to 'isempty' %(table expected, got string%)")
  end)

  it("D5 table.isarray looks at keys, not at holes", function()
    local isarray = require "table.isarray"
    for _, t in ipairs { {}, { "a", true, 3.14 }, { nil, 2 }, { [0] = 1 }, { [-1] = 1 }, { [1e10] = 1 },
      { [math.huge] = 1 }, setmetatable({}, { __index = { a = 1 } }) } do
      assert.is_true(isarray(t))
    end
    for _, t in ipairs { { dog = 3 }, { 1, 2, dog = 3 }, { [1.5] = 1 }, { [true] = 1 } } do
      assert.is_false(isarray(t))
    end
    assert.error_matches(function() isarray(1) end, "bad argument #1 to 'isarray' %(table expected, got number%)")
  end)

  it("D5 table.nkeys", function()
    local nkeys = require "table.nkeys"
    assert.equal(0, nkeys({}))
    assert.equal(2, nkeys({ "a", nil, "b" }))
    assert.equal(2, nkeys({ dog = 3, cat = 4, bird = nil }))
    assert.equal(3, nkeys({ "a", dog = 3, cat = 4 }))
    assert.error_matches(function() nkeys(print) end, "bad argument #1 to 'nkeys' %(table expected, got function%)")
  end)

  it("D5 table.clone is shallow and leaves the metatable", function()
    local clone = require "table.clone"
    local inner = {}
    local t = setmetatable({ 1, nil, 3, a = inner }, { __index = { b = 1 } })
    local copy = clone(t)
    assert.is_false(rawequal(t, copy))
    assert.is_true(rawequal(inner, copy.a))
    assert.same({ 1, 3 }, { copy[1], copy[3] })
    assert.is_nil(getmetatable(copy))
    assert.is_nil(copy.b)
    assert.error_matches(function() clone() end, "bad argument #1 to 'clone' %(table expected, got no value%)")
  end)

  it("D5 table.new and table.clear", function()
    local t = require("table.new")(4, 4)
    assert.same({}, t)
    t[1], t.a = 1, 2
    table.clear(t)
    assert.same({}, t)
    assert.error_matches(function() table.new("x", 0) end, "bad argument #1 to '.-' %(number expected, got string%)")
    assert.error_matches(function() table.clear(1) end, "bad argument #1 to '.-' %(table expected, got number%)")
  end)

  it("D5 thread.exdata keeps a pointer for each coroutine", function()
    for _, name in ipairs { "thread.exdata", "thread.exdata2" } do
      local exdata = require(name)
      local old = exdata()
      assert.equal("cdata", type(old))
      exdata(ffi.cast("void *", 0xdead))
      assert.equal(ffi.cast("void *", 0xdead), exdata())
      local inside, after
      local co = coroutine.create(function()
        inside = exdata()
        exdata(ffi.cast("void *", 0xbeef))
        after = exdata()
      end)
      assert(coroutine.resume(co))
      assert.equal(ffi.cast("void *", 0xdead), inside)
      assert.equal(ffi.cast("void *", 0xbeef), after)
      assert.equal(ffi.cast("void *", 0xdead), exdata())
      assert.equal(ffi.cast("void *", 0xdead), coroutine.wrap(function() return exdata() end)())
      exdata(old)
      assert.error_matches(function() exdata(5) end, "bad argument #1 to 'exdata' %(cdata expected, got number%)")
    end
    assert.equal(ffi.cast("void *", nil), require("thread.exdata2")())
  end)

  it("D5 is LuaJIT with Lua 5.2's table.pack, __pairs, __len, load", function()
    assert.same({ 1, nil, 3, n = 3 }, table.pack(1, nil, 3))
    assert.equal(2, (select(2, table.unpack({ 1, 2 }))))
    assert.equal(7, #setmetatable({}, { __len = function() return 7 end }))
    local seen
    for k in pairs(setmetatable({}, { __pairs = function() return next, { a = 1 } end })) do
      seen = k
    end
    assert.equal("a", seen)
    assert.equal(5, load("return x", "chunk", "t", { x = 5 })())
    assert.equal("table", type(bit))
    assert.equal(6, bit.bor(2, 4))
    assert.equal("Linux", jit.os)
    assert.error_matches(function() jit.prngstate() end, "not supported: jit.prngstate")
    assert.equal(3, math.log(8, 2))
    assert.equal("a,a", string.rep("a", 2, ","))
  end)

  it("D5 ffi.C has what plugins call without declaring it", function()
    local C = ffi.C
    local name = os.tmpname()
    local fd = C.open(name, bit.bor(1, 64), ffi.new("int", 384))
    assert.is_true(fd > 0)
    assert.equal(5, C.write(fd, "hello", 5))
    assert.equal(0, C.close(fd))
    fd = C.open(name, 0)
    local buf = ffi.new("char[10]")
    assert.equal(5, tonumber(C.read(fd, buf, 10)))
    assert.equal("hello", ffi.string(buf, 5))
    C.close(fd)
    os.remove(name)
    assert.equal(-1, C.open("/nowhere/x", 0))
    assert.equal("No such file or directory", ffi.string(C.strerror(ffi.errno())))
    assert.equal(1, C.RAND_bytes(buf, 10))
    assert.equal(0ULL, C.ERR_get_error())
    assert.is_true(C.ERR_reason_error_string(0) == nil)
    assert.equal(0, C.gethostname(ffi.new("char[256]"), 256))
    local now = ffi.new("nanotime[1]")
    assert.equal(0, C.clock_gettime(0, now))
    assert.is_true(math.abs(tonumber(now[0].tv_sec) - os.time()) <= 2)
    local text = ffi.new("ngx_str_t[1]")
    text[0].data, text[0].len = "1m30s", 5
    assert.equal(90, tonumber(C.ngx_parse_time(text, 1)))
    assert.equal(90000, tonumber(C.ngx_parse_time(text, 0)))
    text[0].data, text[0].len = "nonsense", 8
    assert.equal(-1, tonumber(C.ngx_parse_time(text, 1)))
    ffi.cdef [[
      u_char *ngx_hex_dump(u_char *dst, const u_char *src, size_t len);
      intptr_t ngx_atoi(const unsigned char *line, size_t n);
    ]]
    local hex = ffi.new("unsigned char[8]")
    assert.equal(hex + 4, C.ngx_hex_dump(hex, "\1\255", 2))
    assert.equal("01ff", ffi.string(hex, 4))
    assert.same({ 123, -1 }, { tonumber(C.ngx_atoi("123", 3)), tonumber(C.ngx_atoi("x", 1)) })
    assert.is_true(C.environ ~= nil)
    assert.error_matches(function() return C.never_declared end, "missing declaration for symbol 'never_declared'")
  end)

  it("D5 a plugin may declare all of it again", function()
    for _ = 1, 2 do
      ffi.cdef [[
        typedef unsigned char u_char;
        int open(const char * filename, int flags, ...);
        size_t read(int fd, void *buf, size_t count);
        int write(int fd, const void *ptr, int numbytes);
        int close(int fd);
        char *strerror(int errnum);
        struct timespec { long tv_sec; long tv_nsec; };
        int clock_gettime(int clk_id, struct timespec *tp);
        int RAND_bytes(unsigned char *buf, int num);
        int gethostname(char *name, size_t len);
        int getpid(void);
      ]]
      assert.is_true(ffi.C.getpid() > 0)
      assert.equal(0, ffi.C.clock_gettime(0, ffi.new("struct timespec")))
    end
    local sum = 0
    for _ = 1, 300 do
      sum = sum + ffi.C.getpid()
    end
    assert.equal(300 * ffi.C.getpid(), sum)
  end)

  it("D5 tablepool keeps tables by tag", function()
    local pool = require "tablepool"
    local t = pool.fetch("d5", 2, 2)
    t.a = 1
    setmetatable(t, {})
    pool.release("d5", t)
    local again = pool.fetch("d5", 0, 0)
    assert.is_true(rawequal(t, again))
    assert.same({}, again)
    assert.is_nil(getmetatable(again))
    again.kept = 1
    pool.release("d5", again, true)
    assert.equal(1, pool.fetch("d5", 0, 0).kept)
    assert.is_false(rawequal(t, pool.fetch("other", 0, 0)))
    assert.error_matches(function() pool.release("d5") end, "object empty")
  end)

  it("D5 OpenSSL's names come from the system's library where there is one", function()
    ffi.cdef "unsigned long OpenSSL_version_num(void);"
    local ok, version = pcall(function() return tonumber(ffi.C.OpenSSL_version_num()) end)
    if ok then
      assert.is_true(version > 0x10000000)
    else
      assert.matches("undefined symbol: OpenSSL_version_num", version)
    end
  end)

  it("D5 kong.tools.rand, lua_system_constants", function()
    local constants = require "lua_system_constants"
    assert.same({ 0, 1, 64, 1024, 256 }, { constants.O_RDONLY(), constants.O_WRONLY(), constants.O_CREAT(),
      constants.O_APPEND(), constants.S_IRUSR() })
    assert.equal(12, #require("kong.tools.rand").get_rand_bytes(12))
  end)

  it("D5 os.exit and os.setlocale reach no other plugin", function()
    assert.error_matches(function() os.exit(0) end, "not supported: os.exit")
    assert.equal("C", os.setlocale())
    assert.equal("C", os.setlocale("C"))
    assert.equal("C", os.setlocale(nil, "numeric"))
    assert.is_nil(os.setlocale("de_DE.UTF-8"))
    assert.error_matches(function() os.setlocale("C", "x") end, "bad argument #2 to 'setlocale' %(invalid option 'x'%)")
    assert.error_matches(function() os.setlocale({}) end, "bad argument #1 to 'setlocale' %(string expected, got table%)")
    assert.equal("1.5", tostring(1.5))
  end)

  it("D5 math.random has been seeded, and stays so", function()
    math.randomseed(42)
    local first = math.random(2 ^ 30)
    math.randomseed(42)
    assert.not_equal(first, math.random(2 ^ 30))
  end)
end)
