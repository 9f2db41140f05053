-- ngx: constants, the fields that follow the request (ctx, status, headers_sent), and what is not there.

local ngx = ...
local ops = require("moongate.ops")
local core, running, slots = ops.ngx_core, require("moongate.running"), require("moongate.slots")
local new_tab = require("table.new")
local error, rawset, type = error, rawset, type

local constants = {
  OK = 0, ERROR = -1, AGAIN = -2, DONE = -4, DECLINED = -5,
  HTTP_GET = 2, HTTP_HEAD = 4, HTTP_POST = 8, HTTP_PUT = 16, HTTP_DELETE = 32, HTTP_MKCOL = 64,
  HTTP_COPY = 128, HTTP_MOVE = 256, HTTP_OPTIONS = 512, HTTP_PROPFIND = 1024, HTTP_PROPPATCH = 2048,
  HTTP_LOCK = 4096, HTTP_UNLOCK = 8192, HTTP_PATCH = 16384, HTTP_TRACE = 32768,
  HTTP_CONTINUE = 100, HTTP_SWITCHING_PROTOCOLS = 101, HTTP_OK = 200, HTTP_CREATED = 201,
  HTTP_ACCEPTED = 202, HTTP_NO_CONTENT = 204, HTTP_PARTIAL_CONTENT = 206, HTTP_SPECIAL_RESPONSE = 300,
  HTTP_MOVED_PERMANENTLY = 301, HTTP_MOVED_TEMPORARILY = 302, HTTP_SEE_OTHER = 303,
  HTTP_NOT_MODIFIED = 304, HTTP_TEMPORARY_REDIRECT = 307, HTTP_PERMANENT_REDIRECT = 308,
  HTTP_BAD_REQUEST = 400, HTTP_UNAUTHORIZED = 401, HTTP_PAYMENT_REQUIRED = 402, HTTP_FORBIDDEN = 403,
  HTTP_NOT_FOUND = 404, HTTP_NOT_ALLOWED = 405, HTTP_NOT_ACCEPTABLE = 406, HTTP_REQUEST_TIMEOUT = 408,
  HTTP_CONFLICT = 409, HTTP_GONE = 410, HTTP_UPGRADE_REQUIRED = 426, HTTP_TOO_MANY_REQUESTS = 429,
  HTTP_CLOSE = 444, HTTP_ILLEGAL = 451, HTTP_INTERNAL_SERVER_ERROR = 500,
  HTTP_METHOD_NOT_IMPLEMENTED = 501, HTTP_NOT_IMPLEMENTED = 501, HTTP_BAD_GATEWAY = 502,
  HTTP_SERVICE_UNAVAILABLE = 503, HTTP_GATEWAY_TIMEOUT = 504, HTTP_VERSION_NOT_SUPPORTED = 505,
  HTTP_INSUFFICIENT_STORAGE = 507,
}
for name, value in pairs(constants) do
  ngx[name] = value
end

ngx.null = core.null()

local phase_names = core.phase_names()

function ngx.get_phase()
  local phase = running[2]
  return running[1] == 0 and phase == 1 and core.get_phase() or phase_names[phase]
end

local RAW_PHASES = {
  rewrite = 0x2, access = 0x4, content = 0x8, log = 0x10, header_filter = 0x20, body_filter = 0x40, timer = 0x80,
  init_worker = 0x100, balancer = 0x200, ssl_cert = 0x400, ssl_client_hello = 0x4000,
}

-- the number that OpenResty's own Lua knows a phase by
function ngx.get_raw_phase()
  if running[1] == 0 then
    error("no request found", 2)
  end
  return RAW_PHASES[ngx.get_phase()]
end

ngx.exit = core.exit

-- What Kong's phases leave in ngx.ctx, when it is first looked at in a phase; `fill` is the pdk room's.
local routed = package.loaded["moongate.ctx"] or {}
package.loaded["moongate.ctx"] = routed

local function get_ctx(given)
  local n = running[1]
  if n == 0 then
    error("no request found", 3)
  end
  local s = slots[n]
  if not s then
    s = {}
    slots[n] = s
  end
  local ctx = s.ctx
  if not ctx then
    ctx = type(given) == "table" and given or new_tab(0, 8)
    s.ctx = ctx
  end
  if running[4] and routed.fill then
    routed.fill(ctx, s)
  end
  return ctx
end

local function set_ctx(ctx)
  if type(ctx) ~= "table" then
    error("ctx should be a table while getting a " .. type(ctx), 3)
  end
  local n = running[1]
  if n == 0 then
    error("no request found", 3)
  end
  local s = slots[n]
  if not s then
    s = {}
    slots[n] = s
  end
  -- what the router found belonged to the table that goes
  if not s.routed and routed.fill then
    routed.fill({}, s)
  end
  s.ctx = ctx
end

local status, headers_sent, set_status = core.status, core.headers_sent, core.set_status
local native = require "moongate.native"
local c_status, reply = native.ngx_core.status, native.reply

-- what `resty.core.misc` lets libraries add
local getters, setters = {}, {}
package.loaded["moongate.ngx.magic"] = { getters = getters, setters = setters, get_ctx = get_ctx }

setmetatable(ngx, {
  __index = function(_, key)
    if key == "ctx" then
      return get_ctx()
    elseif key == "status" then
      local n = c_status(nil, 0, nil, 0, reply, 0, 0, 0, 0)
      return n >= 0 and n or (status())
    elseif key == "headers_sent" then
      return (headers_sent())
    elseif key == "is_subrequest" then
      return core.is_subrequest()
    end
    local get = getters[key]
    if get then
      return get()
    end
  end,
  __newindex = function(t, key, value)
    if key == "ctx" then
      set_ctx(value)
    elseif key == "status" then
      set_status(tonumber(value) or value)
    elseif key == "headers_sent" or key == "is_subrequest" then
      error('attempt to write to "' .. key .. '"', 2)
    elseif setters[key] then
      setters[key](value)
    else
      rawset(t, key, value)
    end
  end,
})
