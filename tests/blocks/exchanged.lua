-- What of the gateway's `ngx` is exchanged where a plugin stands in for nginx (handler.lua): nginx's content phase is
-- the end of `access`, variables of `set` are the plugin's, named locations are paths, light threads hold a phase open.

local K = kong
local real_phase, real_exit, real_var = ngx.get_phase, ngx.exit, ngx.var
local write_line = package.loaded["moongate.ngx.log"].write

-- What the handler needs of it. `handed`: variables of `set` that a subrequest is given, by the table that is its
-- `ngx.ctx`.
local M = { exit = real_exit, var = real_var, handed = setmetatable({}, { __mode = "k" }) }
local handed = M.handed

local function state()
  return K.ctx.plugin
end

local function in_request()
  local ok, s = pcall(state)
  return ok and s or nil
end

-- The request's body, wherever it is.
function M.body()
  local data, path = ngx.req.get_body_data(), ngx.req.get_body_file()
  local file = not data and path and io.open(path, "rb")
  if file then
    data = file:read("*a")
    file:close()
  end
  return data
end

-- A line of nginx's own: without the place of the Lua that logs it.
local function log(level, ...)
  write_line(level, table.concat({ ... }))
end

local function mark(what)
  return setmetatable({}, { __tostring = function()
    return what
  end })
end

-- `ngx.exit(ngx.OK)` and a jump out of rewrite_by_lua, which is a part of `access` here
local STOP, JUMP = mark("an exit"), mark("a jump")

function ngx.get_phase()
  local phase = real_phase()
  if phase == "access" or phase == "rewrite" then
    local s = in_request()
    return s and s.as or phase
  end
  return phase
end

function ngx.exit(code)
  if code == 0 and real_phase() == "access" then
    local s = in_request()
    if s and s.as == "content" then
      if not ngx.headers_sent then
        ngx.send_headers()
      end
      -- (a client that is gone leaves 499, with which anything may be left)
      return real_exit(ngx.status == 499 and 0 or math.max(200, ngx.status))
    elseif s and s.as and s.entry == coroutine.running() then
      error(STOP, 0)
    end
  end
  return real_exit(code)
end

local function get_var(name)
  return real_var[name]
end

ngx.var = setmetatable({}, {
  __index = function(_, name)
    local s = in_request()
    name = type(name) == "string" and name:lower() or name
    local v = s and s.vars and s.vars[name]
    if v ~= nil then
      return v or nil
    end
    if name == "server_port" and s and s.block and s.block.front then
      return tostring(s.block.front)
    elseif name == "echo_request_method" then
      return ngx.req.get_method()
    elseif name == "echo_client_request_headers" then
      return ngx.req.raw_header()
    elseif name == "echo_request_body" then
      return M.body()
    elseif (name == "document_root" or name == "realpath_root") and s and s.block then
      -- the block's nginx has a prefix of its own
      return s.block.root .. "/html"
    elseif name == "request_filename" and s and s.block then
      return s.block.root .. "/html" .. ngx.var.uri
    elseif type(name) == "number" then
      return s and s.captures and name > 0 and s.captures[name] or nil
    end
    local ok, value = pcall(get_var, name)
    if not ok then
      error((tostring(value):gsub("^[^:]+:%d+: ", "")), 2)
    end
    return value
  end,
  __newindex = function(_, name, value)
    local s = in_request()
    local lower = type(name) == "string" and name:lower() or name
    if s and s.vars and s.vars[lower] ~= nil then
      s.vars[lower] = value ~= nil and tostring(value)
      return
    end
    local ok, err = pcall(function()
      real_var[name] = value
    end)
    if not ok then
      error((tostring(err):gsub("^[^:]+:%d+: ", "")), 2)
    end
  end,
})

-- `lua_socket_*_timeout` of a location
local tcp = ngx.socket.tcp
function ngx.socket.tcp(...)
  local sock, err = tcp(...)
  local s = in_request()
  local t = s and s.location and s.location.timeouts
  if sock and t then
    sock:settimeouts(t.connect or 60000, t.send or 60000, t.read or 60000)
  end
  return sock, err
end

local function known(block, name)
  for _, server in pairs(block.servers) do
    for _, l in ipairs(server.locations) do
      for _, op in ipairs(l.ops) do
        if op.name and op.name:lower() == name and not op.known then
          return true
        end
      end
    end
  end
end

local function hand_on(s, opts)
  if type(opts) ~= "table" or not s or not s.block then
    return opts
  end
  local share, copy, vars = opts.share_all_vars == true, opts.copy_all_vars == true, {}
  local own = share and s.vars or {}
  if copy and not share then
    for name, value in pairs(s.vars or {}) do
      own[name] = value
    end
  end
  local any = share or copy
  for name, value in pairs(type(opts.vars) == "table" and opts.vars or {}) do
    local lower = type(name) == "string" and name:lower()
    if lower and (type(value) == "string" or type(value) == "number") and known(s.block, lower) then
      own[lower], any = tostring(value), true
    else
      vars[name] = value
    end
  end
  if not any or opts.ctx ~= nil and type(opts.ctx) ~= "table" then
    return opts
  end
  local made = {}
  for k, v in pairs(opts) do
    made[k] = v
  end
  made.vars = type(opts.vars) == "table" and vars or opts.vars
  made.ctx = opts.ctx or {}
  handed[made.ctx] = own
  return made
end

local capture, capture_multi = ngx.location.capture, ngx.location.capture_multi
function ngx.location.capture(...)
  local uri, opts = ...
  if select("#", ...) == 2 and type(opts) == "table" then
    return capture(uri, hand_on(in_request(), opts))
  end
  return capture(...)
end

function ngx.location.capture_multi(...)
  local queries = ...
  if select("#", ...) ~= 1 or type(queries) ~= "table" then
    return capture_multi(...)
  end
  local s, all = in_request(), {}
  for i, query in ipairs(queries) do
    all[i] = type(query) == "table" and #query == 2 and { query[1], hand_on(s, query[2]) } or query
  end
  return capture_multi(#all == #queries and all or queries)
end

-- light threads go on behind the phase that made them; the phase ends with the last
local spawn = ngx.thread.spawn
function ngx.thread.spawn(...)
  local thread = spawn(...)
  local s = in_request()
  if s and s.as then
    s.threads = s.threads or {}
    s.threads[#s.threads + 1] = thread
  end
  return thread
end

local function await(s)
  for _, thread in ipairs(s.threads or {}) do
    while true do
      local status = coroutine.status(thread)
      if status == "dead" or status == "zombie" then
        break
      end
      ngx.sleep(0.001)
    end
  end
  s.threads = nil
end

-- named locations are paths of their own here; the request gets its URI back when it is there
local exec = ngx.exec
function ngx.exec(uri, ...)
  local s = in_request()
  if s and s.block and type(uri) == "string" and uri:sub(1, 1) == "@" then
    local args = (...)
    if type(args) == "table" then
      args = ngx.encode_args(args)
    end
    local name = uri:match("^[^?]*")
    local query = uri:match("%?(.*)$") or args
    for _, server in pairs(s.block.servers) do
      for _, l in ipairs(server.locations) do
        if l.kind == "@" and l.path == name then
          if query and query ~= "" then
            log(ngx.WARN, "query strings ", query, " ignored when exec'ing named location ", name)
          end
          return exec("/.named/" .. ngx.encode_base64(name .. "\n" .. real_var.uri, true):gsub("/", "-"), real_var.args)
        end
      end
    end
  end
  return exec(uri, ...)
end

local set_uri = ngx.req.set_uri
function ngx.req.set_uri(uri, ...)
  local s, jump = in_request(), (...)
  if s then
    s.changed = true
  end
  if jump == true and s and s.as == "rewrite" and real_phase() == "access" then
    if s.entry ~= coroutine.running() then
      -- out of a light thread: the phases begin anew
      return exec(uri, real_var.args)
    end
    set_uri(uri, false, select(2, ...))
    error(JUMP, 0)
  end
  return set_uri(uri, ...)
end

M.state, M.in_request, M.log, M.await, M.set_uri, M.STOP, M.JUMP = state, in_request, log, await, set_uri, STOP, JUMP

return M
