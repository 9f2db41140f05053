-- ngx.location.capture, ngx.location.capture_multi, ngx.exec.

local ngx = ...
local ops = require("moongate.ops")
local sub, take = ops.ngx_subrequest, ops.vm.take
local check, prepare, run, exec = sub.check, sub.prepare, sub.run, sub.exec
local encode_args = ngx.encode_args
local slots = require("moongate.slots")
local error, type, select, unpack, pairs, setmetatable = error, type, select, unpack, pairs, setmetatable
local lower, tostring, pcall, ipairs = string.lower, tostring, pcall, ipairs

-- a query out of a table; or nil and what is wrong with it
local function encode(t)
  local ok, text = pcall(encode_args, t)
  if ok then
    return text
  end
  return nil, (string.gsub(text, "^moongate/[^:]+:%d+: ", ""))
end

-- names lose their spelling on the way: any will do
local by_any_spelling = {
  __index = function(t, key)
    if type(key) ~= "string" then
      return nil
    end
    local wanted = lower(key)
    for name, value in pairs(t) do
      if lower(name) == wanted then
        return value
      end
    end
  end,
}

-- appends names and values of an option's table; answers how many, or what is wrong with it
local function keyvals(list, t)
  local n = 0
  for name, value in pairs(t) do
    if type(name) ~= "string" then
      return nil, 'attempt to use a non-string key in the "vars" option table'
    end
    local kind = type(value)
    if kind ~= "string" and kind ~= "number" then
      return nil, "attempt to use bad variable value type " .. kind
    end
    list[#list + 1] = name
    list[#list + 1] = tostring(value)
    n = n + 1
  end
  return n
end

local function boolean(opts, name)
  local value = opts[name]
  if value ~= nil and type(value) ~= "boolean" then
    return nil, "Bad " .. name .. " option value"
  end
  return value or false
end

-- the options of one subrequest as the op takes them; nil and what is wrong
local function read_options(opts)
  local o = { list = {}, nvars = 0, method = ngx.HTTP_GET }
  local args, err = opts.args, nil
  local kind = type(args)
  if kind == "table" then
    o.args, err = encode(args)
    if err then
      return nil, err
    end
  elseif kind == "string" or kind == "number" then
    o.args = args
  elseif args ~= nil then
    return nil, "Bad args option value"
  end
  for _, name in ipairs({ "vars", "headers" }) do
    local t = opts[name]
    if type(t) == "table" then
      local n
      n, err = keyvals(o.list, t)
      if not n then
        return nil, err
      end
      if name == "vars" then
        o.nvars = n
      end
    elseif t ~= nil then
      return nil, "Bad " .. name .. " option value"
    end
  end
  local share, copy
  share, err = boolean(opts, "share_all_vars")
  if err then
    return nil, err
  end
  copy, err = boolean(opts, "copy_all_vars")
  if err then
    return nil, err
  end
  o.copy = share and 2 or copy and 1 or 0
  o.forward = opts.always_forward_body and true or false
  if opts.method ~= nil then
    if type(opts.method) ~= "number" then
      return nil, "Bad http request method"
    end
    o.method = opts.method
  end
  if opts.ctx ~= nil and type(opts.ctx) ~= "table" then
    return nil, "Bad ctx option value type " .. type(opts.ctx) .. ", expected a Lua table"
  end
  o.ctx = opts.ctx
  local body = opts.body
  if body ~= nil and type(body) ~= "string" and type(body) ~= "number" then
    return nil, "Bad http request body"
  end
  o.body = body
  return o
end

local none = { list = {}, nvars = 0, method = ngx.HTTP_GET, copy = 0, forward = false }

local function one(query, index)
  if query == nil then
    return "only array-like tables are allowed"
  elseif type(query) ~= "table" then
    return "the query argument " .. index .. " is not a table, but a " .. type(query)
  end
  local n = #query
  if n ~= 1 and n ~= 2 then
    return "query argument " .. index .. " expecting one or two arguments"
  end
  local o, err = none, nil
  if n == 2 then
    if type(query[2]) ~= "table" then
      return "expecting table as the 2nd argument for subrequest " .. index .. ", but got " .. type(query[2])
    end
    o, err = read_options(query[2])
    if not o then
      return err
    end
  end
  local uri = query[1]
  if type(uri) ~= "string" and type(uri) ~= "number" then
    return "bad argument #3 to '?' (string expected, got " .. type(uri) .. ")"
  end
  local slot
  slot, err = prepare(uri, o.args, o.method, o.body, o.forward, o.copy, o.nvars, unpack(o.list))
  if not slot then
    return err
  end
  if o.ctx then
    slots[slot] = { ctx = o.ctx }
  end
end

local function finished(...)
  if select("#", ...) == 0 then
    return finished(take())
  end
  local first, err = ...
  if first == nil then
    error(err, 2)
  elseif type(first) == "number" then
    return ngx.exit(first)
  end
  for i = 1, select("#", ...) do
    setmetatable((select(i, ...)).header, by_any_spelling)
  end
  return ...
end

local function capture(queries)
  check()
  for i = 1, #queries do
    local err = one(queries[i], i - 1)
    if err then
      run(true)
      take()
      error(err, 2)
    end
  end
  return finished(run())
end

local location = {}
ngx.location = location

function location.capture_multi(...)
  local n = select("#", ...)
  if n ~= 1 then
    error("only one argument is expected, but got " .. n, 2)
  end
  local queries = ...
  if type(queries) ~= "table" then
    error("bad argument #1 to 'capture_multi' (table expected, got " .. type(queries) .. ")", 2)
  end
  if #queries == 0 then
    error("at least one subrequest should be specified", 2)
  end
  return capture(queries)
end

function location.capture(...)
  local n = select("#", ...)
  if n ~= 1 and n ~= 2 then
    error("expecting one or two arguments", 2)
  end
  return capture({ { ... } })
end

function ngx.exec(...)
  local n = select("#", ...)
  if n ~= 1 and n ~= 2 then
    error("expecting one or two arguments, but got " .. n, 2)
  end
  local uri, args = ...
  if type(uri) ~= "string" and type(uri) ~= "number" then
    error("bad argument #1 to 'exec' (string expected, got " .. type(uri) .. ")", 2)
  end
  if uri == "" then
    error("The uri argument is empty", 2)
  end
  local kind = type(args)
  if kind == "table" then
    local err
    args, err = encode(args)
    if err then
      error(err, 2)
    end
  elseif kind ~= "string" and kind ~= "number" and kind ~= "nil" then
    error("bad argument #2 to 'exec' (string, number, or table expected, but got " .. kind .. ")", 2)
  end
  return exec(uri, args)
end
