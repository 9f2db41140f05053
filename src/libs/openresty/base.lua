-- `resty.core.base`: what libraries over lua-resty-core share.

local ffi = require "ffi"
local running = require "moongate.running"
local error, select = error, select
local ceil = math.ceil

-- Libraries declare functions with these; a rock that declares them itself comes first.
for name, decl in pairs {
  ngx_str_t = "typedef struct { size_t len; const unsigned char *data; } ngx_str_t;",
  ngx_http_request_t = "typedef struct ngx_http_request_s ngx_http_request_t;",
  ngx_http_lua_ffi_str_t = "typedef struct { int len; const unsigned char *data; } ngx_http_lua_ffi_str_t;",
} do
  if not pcall(ffi.typeof, name) then
    ffi.cdef(decl)
  end
end

local M = {
  version = "0.1.31",
  new_tab = require "table.new",
  clear_tab = require "table.clear",
  FFI_OK = 0, FFI_ERROR = -1, FFI_AGAIN = -2, FFI_BUSY = -3, FFI_DONE = -4, FFI_DECLINED = -5, FFI_ABORT = -6,
  FFI_NO_REQ_CTX = -100, FFI_BAD_CONTEXT = -101,
}

--- Something in a request, nil outside.
function M.get_request()
  local slot = running[1]
  return slot > 0 and slot or nil
end

local errmsg, size_ptr, str_buf
local str_buf_size = 4096

function M.get_errmsg_ptr()
  errmsg = errmsg or ffi.new("char *[1]")
  return errmsg
end

function M.set_string_buf_size(size)
  if size <= 0 then
    return
  end
  str_buf, str_buf_size = nil, ceil(size)
end

function M.get_string_buf_size()
  return str_buf_size
end

function M.get_size_ptr()
  size_ptr = size_ptr or ffi.new("size_t[1]")
  return size_ptr
end

local char_array = ffi.typeof("char[?]")

--- A buffer that everybody shares, or one's own where that is too small or `must_alloc`.
function M.get_string_buf(size, must_alloc)
  if size > str_buf_size or must_alloc then
    return ffi.new(char_array, size)
  end
  str_buf = str_buf or ffi.new(char_array, str_buf_size)
  return str_buf
end

--- Puts a value into a free place of a table (the list of free ones begins at 0); its place.
function M.ref_in_table(tb, key)
  if key == nil then
    return -1
  end
  local ref = tb[0]
  if ref and ref ~= 0 then
    tb[0] = tb[ref]
  else
    ref = #tb + 1
  end
  tb[ref] = key
  return ref
end

function M.allows_subsystem(...)
  for i = 1, select("#", ...) do
    if select(i, ...) == "http" then
      return
    end
  end
  error("unsupported subsystem: http", 2)
end

return M
