-- LuaJIT as plugins know it from OpenResty and Kong: `thread.exdata`, C functions that are declared and there
-- without a word of the plugin's, functions that would reach beyond the plugin, writes of globals.
-- Runs once, when a state is made.

local ffi = require "ffi"
local libs = require("moongate.ops").libs
local error, type, pcall, rawget, tostring, tonumber = error, type, pcall, rawget, tostring, tonumber
local getmetatable, rawequal, select, setmetatable = debug.getmetatable, rawequal, select, setmetatable
local running, traceback, getinfo = coroutine.running, debug.traceback, debug.getinfo

require "table.new"
require "table.clear"
require "moongate.libs.tables"

-- OpenResty's defaults: a gateway's Lua is large
require("jit.opt").start("maxtrace=8000", "maxrecord=16000", "minstitch=3", "maxmcode=40960")

function jit.prngstate()
  error("not supported: jit.prngstate", 2)
end

-- === what Kong's core and lua-resty-core declare ===

-- as they do, and what both need of each other; a plugin may declare any of it again
ffi.cdef [[
typedef unsigned char u_char;
typedef intptr_t ngx_int_t;
typedef uintptr_t ngx_uint_t;
typedef struct { size_t len; const unsigned char *data; } ngx_str_t;
typedef struct ngx_http_request_s ngx_http_request_t;
typedef struct { int len; const unsigned char *data; } ngx_http_lua_ffi_str_t;
void free(void *ptr);

int RAND_bytes(u_char *buf, int num);
unsigned long ERR_get_error(void);
void ERR_load_crypto_strings(void);
void ERR_free_strings(void);
const char *ERR_reason_error_string(unsigned long e);

int open(const char *filename, int flags, ...);
size_t read(int fd, void *buf, size_t count);
int write(int fd, const void *ptr, int numbytes);
int close(int fd);
char *strerror(int errnum);

typedef long time_t;
typedef int clockid_t;
typedef struct timespec { time_t tv_sec; long tv_nsec; } nanotime;
int clock_gettime(clockid_t clk_id, struct timespec *tp);
ngx_int_t ngx_parse_time(ngx_str_t *line, ngx_uint_t is_sec);

int gethostname(char *name, size_t len);
struct group *getgrnam(const char *name);
struct passwd *getpwnam(const char *name);
int unsetenv(const char *name);
extern char **environ;
]]

-- LuaJIT takes a second declaration of everything but a struct's body: the one above counts.
local cdef = ffi.cdef
ffi.cdef = function(text, ...)
  if type(text) == "string" and text:find("timespec", 1, true) then
    text = text:gsub("struct%s+timespec%s*%b{}", "struct timespec")
  end
  return cdef(text, ...)
end

-- === ffi.C ===

-- Symbols of nginx's binary that are not in this one.
local symbols = {}

function symbols.RAND_bytes(buf, num)
  if num < 0 then
    return 0
  end
  ffi.copy(buf, libs.random_bytes(num), num)
  return 1
end

function symbols.ERR_get_error()
  return 0ULL
end

function symbols.ERR_load_crypto_strings() end
symbols.ERR_free_strings = symbols.ERR_load_crypto_strings

function symbols.ERR_reason_error_string()
  return ffi.cast("const char *", nil)
end

function symbols.ngx_parse_time(line, is_sec)
  line = ffi.cast("ngx_str_t *", line)
  local text = ffi.string(line.data, line.len)
  local ok, seconds = pcall(require("kong.tools.time").nginx_conf_time_to_seconds, text)
  if not ok then
    return -1
  end
  return (is_sec == 0 or is_sec == false) and seconds * 1000 or seconds
end

-- what lua-resty-string and lua-resty-jit-uuid call
function symbols.ngx_hex_dump(dst, src, len)
  len = tonumber(len)
  ffi.copy(dst, libs.hex(ffi.string(src, len)), len * 2)
  return dst + len * 2
end

function symbols.ngx_atoi(line, n)
  local text = ffi.string(line, tonumber(n))
  local value = text:find("^%d+$") and tonumber(text)
  return value and value < 2 ^ 63 and ffi.cast("intptr_t", value) or ffi.cast("intptr_t", -1)
end

function symbols.ngx_hextoi(line, n)
  local text = ffi.string(line, tonumber(n))
  local value = text:find("^%x+$") and tonumber(text, 16)
  return value and value < 2 ^ 63 and ffi.cast("intptr_t", value) or ffi.cast("intptr_t", -1)
end

-- what lua-resty-url calls, with what `resty.core.regex` gave it
function symbols.ngx_http_lua_ffi_exec_regex(...)
  return require("moongate.ngx.re").exec(...)
end

-- OpenSSL is in nginx's binary, not here: for a library that calls it through ffi.C, the system's is loaded at the
-- first name that is not found.
local OPENSSL = { "libcrypto.so.3", "libcrypto.so.1.1", "libcrypto.so", "libssl.so.3", "libssl.so.1.1", "libssl.so" }
local opened

local function open_openssl()
  opened = true
  local found = false
  for i = 1, #OPENSSL do
    local kind = OPENSSL[i]:match("^%a+")
    if kind ~= found and pcall(ffi.load, OPENSSL[i], true) then
      found = kind
    end
  end
end

-- Names of OpenSSL 1.0 that libraries still call (SkyLothar's lua-resty-jwt), and what they became.
local RENAMED = { EVP_MD_CTX_create = true, EVP_MD_CTX_destroy = true }
ffi.cdef [[
void *moongate_EVP_MD_CTX_create(void) __asm__("EVP_MD_CTX_new");
void moongate_EVP_MD_CTX_destroy(void *ctx) __asm__("EVP_MD_CTX_free");
]]

local C = ffi.C
local clib = getmetatable(C)
local index = clib.__index

clib.__index = function(lib, key)
  if rawequal(lib, C) and type(key) == "string" then
    local own = symbols[key]
    if own ~= nil then
      return own
    end
    -- OpenSSL's names begin with capitals: EVP_sha256, OpenSSL_version_num, d2i_X509, i2d_X509
    if not opened and key:find("^[%u%di]%w*_") then
      local ok, value = pcall(index, lib, key)
      if ok then
        return value
      end
      open_openssl()
    end
    if RENAMED[key] then
      return index(lib, "moongate_" .. key)
    elseif key:find("ASN1_", 1, true) then
      local ok, value = pcall(index, lib, key)
      if ok then
        return value
      end
      own = require("moongate.libs.asn1")[key]
      if own then
        return own
      end
    end
  end
  return index(lib, key)
end

-- === beyond the plugin ===

function os.exit()
  error("not supported: os.exit: a plugin cannot end the gateway", 2)
end

local CATEGORIES = { all = true, collate = true, ctype = true, monetary = true, numeric = true, time = true }

-- The locale is the process's, all workers'; it is C, and C it stays.
function os.setlocale(locale, category)
  if category ~= nil and not CATEGORIES[category] then
    local kind = type(category)
    if kind ~= "string" then
      error("bad argument #2 to 'setlocale' (string expected, got " .. kind .. ")", 2)
    end
    error("bad argument #2 to 'setlocale' (invalid option '" .. category .. "')", 2)
  end
  if locale == nil or locale == "C" or locale == "POSIX" or locale == "" then
    return "C"
  end
  if type(locale) ~= "string" and type(locale) ~= "number" then
    error("bad argument #1 to 'setlocale' (string expected, got " .. type(locale) .. ")", 2)
  end
  return nil
end

-- Each state begins with a seed of its own, and keeps it: what plugins seed with is worse.
do
  local seed = 0
  for _, byte in ipairs { libs.random_bytes(6):byte(1, 6) } do
    seed = seed * 256 + byte
  end
  math.randomseed(seed)
end

-- as under Kong's runner of specs
math.native_randomseed = math.randomseed

function math.randomseed()
  local ngx = rawget(_G, "ngx")
  if ngx and ngx.log then
    ngx.log(ngx.DEBUG, traceback("attempt to seed already seeded random number generator on process #"
      .. tostring(ngx.worker.pid()), 2))
  end
end

-- === writes of globals ===

-- Named as in OpenResty: the name begins the warning.
local guard = assert(loadstring([[
local rawset, rawget, tostring, traceback = rawset, rawget, tostring, debug.traceback
return function(globals, key, value)
  rawset(globals, key, value)
  local ngx = rawget(globals, "ngx")
  local phase = ngx and ngx.get_phase and ngx.get_phase()
  if not phase or phase == "init" or phase == "init_worker" then
    return
  end
  ngx.log(ngx.WARN, "writing a global Lua variable ('", tostring(key), "') which may lead to race conditions ",
    "between concurrent requests, so prefer the use of 'local' variables", traceback("", 2))
end
]], "=_G write guard"))()
setmetatable(_G, { __newindex = guard })

-- === thread.exdata ===

local NULL = ffi.new("void *")

-- A pointer that a coroutine keeps; one that it starts begins with its own.
local function exdata()
  local kept = setmetatable({}, { __mode = "k" })
  local inheriting = false

  local function inherit()
    inheriting = true
    local create, wrap = coroutine.create, coroutine.wrap
    local function with(value, f)
      return function(...)
        kept[running()] = value
        return f(...)
      end
    end
    function coroutine.create(f)
      local value = kept[running()]
      return create(value ~= nil and type(f) == "function" and with(value, f) or f)
    end
    function coroutine.wrap(f)
      local value = kept[running()]
      return wrap(value ~= nil and type(f) == "function" and with(value, f) or f)
    end
    -- OpenResty's other names for the two
    coroutine.__create, coroutine.__wrap = coroutine.create, coroutine.wrap
  end

  return function(...)
    local co = running()
    if select("#", ...) == 0 then
      return kept[co] or NULL
    end
    local value = ...
    if type(value) ~= "cdata" then
      error("bad argument #1 to '" .. (getinfo(1, "n").name or "?") .. "' (cdata expected, got " .. type(value)
        .. ")", 2)
    end
    kept[co] = ffi.cast("void *", value)
    if not inheriting then
      inherit()
    end
  end
end

return { ["thread.exdata"] = exdata(), ["thread.exdata2"] = exdata() }
