-- `resty.core.*`: in OpenResty requiring them puts functions into `ngx`, where they are here from the start; what
-- they return is here. Answers the modules by name.

local base = require "resty.core.base"
local re = require "moongate.ngx.re"
local ffi = require "ffi"
local ops = require("moongate.ops").libs
local version = base.version
local str_find, gsub, byte, char = string.find, string.gsub, string.byte, string.char

local M = {}

M["resty.core"] = { version = version }

M["resty.core.utils"] = {
  version = version,
  str_replace_char = function(str, find, replace)
    if not str_find(str, find, nil, true) then
      return str
    end
    local to = char(byte(replace))
    return (gsub(str, "%" .. char(byte(find)), to == "%" and "%%" or to))
  end,
}

M["resty.core.time"] = {
  version = version,
  monotonic_msec = ops.monotonic_ms,
  monotonic_time = function()
    return ops.monotonic_ms() / 1000
  end,
}

local buf_grow_ratio = 2

M["resty.core.regex"] = {
  version = version,
  collect_captures = re.collect_captures,
  re_match_compile = re.compile,
  is_regex_cache_empty = re.is_cache_empty,
  -- a pattern may be in use elsewhere: the collector frees it
  destroy_compiled_regex = function() end,
  set_buf_grow_ratio = function(ratio)
    buf_grow_ratio = ratio
  end,
  re_sub_compile = function(regex, opts)
    return re.compile(regex, opts)
  end,
  check_buf_size = function(buf, buf_size, pos, len, new_len, must_alloc)
    if new_len > buf_size then
      buf_size = math.max(buf_size * buf_grow_ratio, new_len)
      local new_buf = base.get_string_buf(buf_size, must_alloc)
      ffi.copy(new_buf, buf, len)
      buf, pos = new_buf, new_buf + len
    end
    return buf, buf_size, pos, new_len
  end,
}

local misc = require "moongate.ngx.magic"

M["resty.core.ctx"] = {
  _VERSION = version,
  -- ngx.ctx; the table given becomes it where there was none
  get_ctx_table = function(ctx)
    return (misc.get_ctx(ctx))
  end,
}

M["resty.core.misc"] = {
  _VERSION = version,
  register_ngx_magic_key_getter = function(key, f)
    misc.getters[key] = f
  end,
  register_ngx_magic_key_setter = function(key, f)
    misc.setters[key] = f
  end,
}

M["resty.core.worker"] = { _VERSION = version }

M["resty.core.request"] = {
  version = version,
  set_req_header = function(name, value, override)
    if override == false then
      return require("ngx.req").add_header(name, value)
    end
    return ngx.req.set_header(name, value)
  end,
}

M["resty.core.response"] = {
  version = version,
  set_resp_header = function(_, key, value, no_override)
    if no_override then
      return require("ngx.resp").add_header(key, value)
    end
    ngx.header[key] = value
  end,
  bypass_if_checks = function()
    return require("ngx.resp").bypass_if_checks()
  end,
}

for _, name in ipairs {
  "uri", "hash", "base64", "exit", "var", "phase", "shdict", "ndk", "param", "coroutine", "socket",
} do
  M["resty.core." .. name] = { version = version }
end

return M
