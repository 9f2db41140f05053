-- A small nginx in a plugin: what a block's configuration says (convert.py made tables of it) happens in the
-- gateway's phases. MOONGATE_BLOCKS is the folder of these tables.
--
-- nginx's rewrite and content phases are the beginning and the end of `access` here (what a block's rewrite decided
-- would be overruled by the gateway's router); the request ends with content, and ngx.get_phase says "content"
-- (exchanged.lua). An error in Lua is logged with the words that nginx's Lua module has for it.

local K, DIR = kong, os.getenv("MOONGATE_BLOCKS")
local E = require "kong.plugins.blocks.exchanged"
local state, in_request, log, await, set_uri = E.state, E.in_request, E.log, E.await, E.set_uri
local STOP, JUMP, handed, real_exit, real_var = E.STOP, E.JUMP, E.handed, E.exit, E.var
local ERR = ngx.ERR
local index = assert(loadfile(DIR .. "/index.lua"))()
local blocks, current = {}, nil
local base_path, base_loaded = package.path, {}

local P = { PRIORITY = 1, VERSION = "1.0.0" }

-- LuaJIT's verbose modes, which many blocks turn on: not a part of the gateway
for _, name in ipairs({ "jit.v", "jit.dump" }) do
  if not pcall(require, name) then
    package.preload[name] = function()
      local function nothing() end
      return { on = nothing, off = nothing, start = nothing }
    end
  end
end

-- A library may be loaded anew for each block, where nginx would be: what it declares in C stays.
local function declare_again()
  local ffi = require "ffi"
  local cdef, metatype = ffi.cdef, ffi.metatype
  function ffi.cdef(text, ...)
    local ok, err = pcall(cdef, text, ...)
    if not ok and not tostring(err):find("attempt to redefine", 1, true) then
      error(err, 2)
    end
  end
  function ffi.metatype(ctype, mt)
    local ok, made = pcall(metatype, ctype, mt)
    return ok and made or ffi.typeof(ctype)
  end
end

-- === blocks ===

local function environment()
  local env = {}
  env._G = env
  return setmetatable(env, {
    __index = _G,
    __newindex = function(t, k, v)
      if k == "kong" then
        rawset(_G, "kong", v)
      else
        rawset(t, k, v)
      end
    end,
  })
end

local function block_of(n)
  local b = blocks[n]
  if not b then
    b = assert(loadfile(DIR .. "/block-" .. n .. ".lua"))()
    if b.library and declare_again then
      declare_again()
      declare_again = nil
    end
    b.env = index.env or index.single and _G or environment()
    blocks[n] = b
  end
  return b
end

local initialize

-- Every block finds the modules and dictionaries of a fresh server.
local function start(n)
  current = block_of(n)
  -- (what init_worker has made stays)
  for name in pairs(index.alone and {} or package.loaded) do
    local fresh = not base_loaded[name] or current.library and not name:find("^ngx%f[%.%z]")
    if fresh and not name:find("^moongate") and package.searchpath(name, current.path or "") then
      package.loaded[name] = nil
    end
  end
  package.path = (current.path and current.path .. ";" or "") .. base_path
  rawset(_G, "kong", index.kong and index.kong_global or nil)
  for _, name in ipairs(index.alone and {} or current.dicts or {}) do
    local dict = ngx.shared[name]
    if dict then
      dict:flush_all()
      dict:flush_expired()
    end
  end
  if current.init and not index.alone and not current.ready then
    current.ready = true
    initialize(current.init, "init_by_lua", current.env)
  end
end

-- === running Lua ===

local expand

local traceback = require("moongate.ops").vm.traceback

local function traced(err)
  if err == JUMP or err == STOP then
    return err
  elseif type(err) ~= "string" and type(err) ~= "number" then
    err = "unknown reason"
  end
  return err .. "\n" .. traceback(1, err)
end

local function compiled(code, env)
  if code.f then
    return code.f
  end
  local f, err
  if code.file then
    local path = expand(code.file)
    if path:sub(1, 1) ~= "/" then
      path = current.root .. "/" .. path
    end
    f, err = loadfile(path)
    if not f then
      return nil, 'failed to load external Lua file "' .. path .. '": ' .. tostring(err),
        err and err:find("cannot open", 1, true) and 404 or 500
    end
    setfenv(f, env)
    return f
  end
  f, err = loadstring(code.code, code.chunk)
  if not f then
    return nil, "failed to load inlined Lua code: " .. tostring(err), 500
  end
  setfenv(f, env)
  code.f = f
  return f
end

-- Runs one piece of Lua as nginx's Lua module would; how it failed is said in its words.
local function run(code, as, env)
  local s = state()
  s.as, s.entry = as, coroutine.running()
  local f, err, status = compiled(code, env)
  if not f then
    log(ERR, err)
    return real_exit(status)
  end
  local ok, failed = xpcall(f, traced)
  s = state()
  if ok then
    await(s)
  else
    for _, thread in ipairs(s.threads or {}) do
      pcall(ngx.thread.kill, thread)
    end
    s.threads = nil
  end
  s.as = nil
  if failed == JUMP or failed == STOP then
    return failed
  elseif not ok then
    log(ERR, "lua entry thread aborted: runtime error: ", failed)
    return real_exit(ngx.headers_sent and ngx.ERROR or 500)
  end
end

local function run_filter(code, label, env)
  local f, err = compiled(code, env)
  if not f then
    log(ERR, err)
    error(err, 0)
  end
  local ok, failed = xpcall(f, function(e)
    return type(e) == "string" and debug.traceback(e, 2) or e
  end)
  if not ok then
    log(ERR, "failed to run ", label, "*: ", tostring(failed))
    error(failed, 0)
  end
end

-- `init_by_lua`, `init_worker_by_lua`: in their own phases where the block has a gateway for itself.
function initialize(codes, as, env)
  local s = not index.alone and in_request()
  if s then
    s.as = "init"
  end
  for _, code in ipairs(codes or {}) do
    local f, err = compiled(code, env)
    local ok = f ~= nil
    if not f then
      err = err:gsub("^failed to load inlined Lua code: ", ""):gsub('^failed to load external Lua file ".-": ', "")
      as = code.file and as .. "_file" or as
    else
      ok, err = xpcall(f, function(e)
        return type(e) == "string" and debug.traceback(e, 2) or tostring(e)
      end)
    end
    if not ok then
      log(ERR, as, " error: ", err)
    end
  end
end

-- === nginx's own directives ===

function expand(text)
  if not text:find("$", 1, true) then
    return text
  end
  local function value(name)
    local v = ngx.var[tonumber(name) or name]
    return v == nil and "" or tostring(v)
  end
  return (text:gsub("%${([%w_]+)}", value):gsub("%$([%w_]+)", value))
end

local function locate(server, uri)
  local best
  for _, l in ipairs(server.locations) do
    local kind, path = l.kind, l.path
    if kind == "=" then
      if uri == path then
        return l
      end
    elseif kind == "" or kind == "^~" then
      if uri:sub(1, #path) == path and (not best or #path > #best.path) then
        best = l
      end
    end
  end
  if best and best.kind == "^~" then
    return best
  end
  for _, l in ipairs(server.locations) do
    if l.kind == "~" or l.kind == "~*" then
      local m = ngx.re.match(uri, l.path, l.kind == "~*" and "ijo" or "jo")
      if m then
        return l, m
      end
    end
  end
  return best
end

local function answer(code, text)
  ngx.status = code
  if text and (code == 301 or code == 302 or code == 303 or code == 307 or code == 308) then
    return ngx.redirect(text, code)
  end
  if text then
    ngx.print(text)
    return real_exit(ngx.OK)
  end
  return real_exit(code)
end

local ops = {}

function ops.set(s, op, env)
  local v = expand(op.value)
  if op.known then
    local ok = pcall(function()
      real_var[op.name] = v
    end)
    if ok then
      return
    end
  end
  s.vars = s.vars or {}
  s.vars[op.name:lower()] = v
end

ops["return"] = function(_, op)
  return answer(op.code, op.text and expand(op.text))
end

function ops.set_by_lua(s, op, env)
  local f = assert(compiled(op.lua, env))
  s.vars = s.vars or {}
  local before = s.as
  s.as = "set"
  local args = {}
  for i, a in ipairs(op.args) do
    args[i] = expand(a)
  end
  local saved = rawget(ngx, "arg")
  rawset(ngx, "arg", args)
  local ok, v = xpcall(f, traced)
  rawset(ngx, "arg", saved)
  s.as = before
  if not ok then
    log(ERR, "failed to run set_by_lua*: ", v)
    return real_exit(500)
  end
  s.vars[op.name:lower()] = v == nil and "" or tostring(v)
end

function ops.rewrite(s, op, env)
  local m = ngx.re.match(ngx.var.uri, op.regex)
  if not m then
    return
  end
  s.captures = m
  local to = expand(op.to)
  local path, args = to:match("^([^?]*)%??(.*)$")
  ngx.req.set_uri(path)
  s.changed = true
  if to:find("?", 1, true) then
    ngx.req.set_uri_args(args)
  end
  return op.flag ~= "break"
end

local function rewrite_module(s, location, env)
  for _, op in ipairs(location.ops) do
    if ops[op.op](s, op, env) then
      return true
    end
  end
end

local function finish()
  -- light threads that still run go on with it: the request ends with the last of them
  if not ngx.headers_sent then
    ngx.send_headers()
  end
end

local function static(s)
  local uri = ngx.var.uri
  local path = current.root .. "/html" .. uri
  if uri:sub(-1) == "/" then
    path = path .. "index.html"
  end
  local f = io.open(path, "rb")
  local text = f and f:read("*a")
  if f then
    f:close()
  end
  if not text then
    log(ERR, 'open() "', path, '" failed (2: No such file or directory)')
    return real_exit(404)
  end
  ngx.header["Content-Length"] = #text
  ngx.print(text)
  return finish()
end

local function proxy(s, location)
  local to, headers = location.proxy, {}
  local host, port = to.host, to.port
  for i, h in ipairs(location.proxy_headers or {}) do
    headers[i] = expand(h[2])
  end
  -- the block's word about the phase is not for these calls
  local said = rawget(ngx.ctx, "KONG_PHASE")
  ngx.ctx.KONG_PHASE = nil
  K.service.request.set_scheme(to.tls and "https" or "http")
  K.service.set_target(expand(host), tonumber(expand(tostring(port))))
  if s.changed and not to.uri then
    real_var.upstream_uri = ngx.escape_uri(real_var.uri, 0):gsub("%?", "%%3F")
    K.service.request.set_raw_query(real_var.args or "")
  elseif to.uri then
    local uri = expand(to.uri)
    local path, args = uri:match("^([^?]*)%??(.*)$")
    if path ~= "" then
      real_var.upstream_uri = path
    end
    if args ~= "" then
      K.service.request.set_raw_query(args)
    end
  end
  for i, h in ipairs(location.proxy_headers or {}) do
    local v = headers[i]
    if h[1]:lower() == "host" then
      real_var.upstream_host = v
    elseif v == "" then
      K.service.request.clear_header(h[1])
    else
      K.service.request.set_header(h[1], v)
    end
  end
  ngx.ctx.KONG_PHASE = said
end

local echoes = {
  echo = function(text)
    ngx.print(expand(text))
  end,
  echo_sleep = function(seconds)
    ngx.sleep(tonumber(expand(seconds)))
  end,
  echo_flush = function()
    ngx.flush(true)
  end,
  echo_status = function(code)
    ngx.status = tonumber(code)
  end,
  echo_read_request_body = function()
    ngx.req.read_body()
  end,
  echo_request_body = function()
    ngx.req.read_body()
    ngx.print(E.body() or "")
  end,
  echo_location = function(uri)
    local path, args = expand(uri):match("^(%S+)%s*(.*)$")
    local res = ngx.location.capture(path, args ~= "" and { args = args } or nil)
    -- unlike ngx.location.capture, the echo module lets nginx's page of a failed subrequest through
    local failed = res.status == 500 and res.body == ""
    ngx.print(failed and "<html><h1>500 Internal Server Error</h1></html>\n" or res.body)
  end,
}

-- === phases ===

local function server_of()
  local port = tonumber(real_var.server_port)
  local n = index.ports[port]
  if not n then
    return nil
  end
  local b = block_of(n)
  return b.servers[port], b
end

local function control()
  local n = tonumber(real_var.uri:match("^/start/(%d+)$"))
  if n then
    start(n)
  end
  ngx.print("ok")
  return real_exit(200)
end

local function begin()
  if tonumber(real_var.server_port) == index.control then
    return control()
  end
  local server, b = server_of()
  if not server then
    return real_exit(404)
  end
  local s = state()
  s.block, s.vars = b, s.vars or ngx.is_subrequest and handed[ngx.ctx] or {}
  if b.bare then
    -- where no router has been
    ngx.ctx.route, ngx.ctx.service = nil, nil
  end
  local again, rounds = true, 0
  while again do
    again, rounds = false, rounds + 1
    if rounds > 11 then
      log(ERR, "rewrite or internal redirection cycle while processing \"", real_var.uri, "\"")
      return real_exit(500)
    end
    local location, captures
    local named = real_var.uri:match("^/%.named/(.*)$")
    if named then
      local name, uri = ngx.decode_base64((named:gsub("-", "/"))):match("^(.-)\n(.*)$")
      set_uri(uri)
      for _, l in ipairs(server.locations) do
        location = l.kind == "@" and l.path == name and l or location
      end
    else
      location, captures = locate(server, real_var.uri)
    end
    if not location then
      location = server.default
    end
    s.location, s.captures = location, captures or s.captures
    again = rewrite_module(s, location, b.env)
    if not again and location.need_body then
      ngx.req.read_body()
    end
    if not again and location.lua.rewrite then
      again = run(location.lua.rewrite, "rewrite", b.env) == JUMP
      s = state()
      s.ended = not again and ngx.headers_sent
    end
  end
end

function P:access()
  begin()
  local s = state()
  if s.ended or not s.location then
    return
  end
  local location, env = s.location, s.block.env
  if location.lua.access then
    run(location.lua.access, "access", env)
    if ngx.headers_sent then
      return finish()
    end
  end
  if location.type then
    s.type = location.type
  end
  if location.lua.content then
    run(location.lua.content, "content", env)
    return finish()
  elseif location.proxy then
    return proxy(s, location)
  elseif location.echo then
    s.as = "content"
    for _, e in ipairs(location.echo) do
      echoes[e[1]](e[2])
    end
    return finish()
  end
  return static(s)
end

function P:header_filter()
  local s = in_request()
  local location = s and s.location
  if not location then
    return
  end
  if location.type and not location.proxy and not ngx.header["Content-Type"] then
    ngx.header["Content-Type"] = location.type
  end
  local added = {}
  for _, h in ipairs(location.add_headers or {}) do
    local list = added[h[1]:lower()] or {}
    added[h[1]:lower()] = list
    list[#list + 1] = expand(h[2])
    ngx.header[h[1]] = #list > 1 and list or list[1]
  end
  if location.lua.header_filter then
    run_filter(location.lua.header_filter, "header_filter_by_lua", s.block.env)
  end
end

function P:body_filter()
  local s = in_request()
  local location = s and s.location
  if location and location.lua.body_filter then
    run_filter(location.lua.body_filter, "body_filter_by_lua", s.block.env)
  end
end

function P:log()
  local s = in_request()
  local location = s and s.location
  if location and location.lua.log then
    run_filter(location.lua.log, "log_by_lua", s.block.env)
  end
end

for name in pairs(package.loaded) do
  base_loaded[name] = true
end

if index.alone then
  index.env = _G
  current = block_of(index.alone)
  package.path = (current.path and current.path .. ";" or "") .. base_path
  rawset(_G, "kong", nil)
  local kept = ngx.get_phase
  ngx.get_phase = function()
    return "init"
  end
  initialize(index.init, "init_by_lua", index.env)
  ngx.get_phase = kept
  index.kong_global = rawget(_G, "kong")
  index.kong = true
  rawset(_G, "kong", K)
end

function P:init_worker()
  if index.alone then
    rawset(_G, "kong", index.kong_global)
    initialize(index.init_worker, "init_worker_by_lua", index.env)
    index.kong_global = rawget(_G, "kong")
  else
    rawset(_G, "kong", nil)
  end
end

return P
