-- `kong.api.arguments`: form arguments as the fields of an entity, with the types its schema has.

local decoder = require "kong.api.arguments_decoder"

local type, pairs, ipairs, getmetatable, tonumber = type, pairs, ipairs, getmetatable, tonumber
local null = ngx.null

-- === joining ===

local function is_part(value)
  return getmetatable(value) == decoder.multipart_mt
end

local function add(to, arg)
  if type(arg) ~= "table" or is_part(arg) then
    to[#to + 1] = arg
    return
  end
  for key, value in pairs(arg) do
    local before = to[key]
    if not before then
      to[key] = value
    else
      if type(before) ~= "table" or is_part(before) then
        before = { before }
        to[key] = before
      end
      add(before, value)
    end
  end
end

-- One table out of a list of nested ones.
local function combine(args)
  local to = {}
  if type(args) == "table" then
    for _, arg in ipairs(args) do
      add(to, arg)
    end
  end
  return to
end

-- === types ===

local infer, infer_value

local function infer_fields(value, fields)
  for _, entry in ipairs(fields or {}) do
    local name, field = next(entry)
    if value[name] ~= nil then
      value[name] = infer_value(value[name], field)
    end
  end
end

local by_type = {
  number = function(value) return tonumber(value) or value end,
  boolean = function(value)
    if value == "true" then
      return true
    elseif value == "false" then
      return false
    end
    return value
  end,
  array = function(value, field)
    if type(value) ~= "table" then
      value = { value }
    end
    for i, item in ipairs(value) do
      value[i] = infer_value(item, field.elements)
    end
    return value
  end,
  foreign = function(value, field)
    return type(value) == "table" and infer(value, field.schema) or value
  end,
  map = function(value, field)
    if type(value) == "table" then
      for k, v in pairs(value) do
        value[k] = infer_value(v, field.values)
      end
    end
    return value
  end,
  record = function(value, field)
    if type(value) == "table" and not field.abstract then
      infer_fields(value, field.fields)
      infer_fields(value, field.shorthand_fields)
    end
    return value
  end,
}
by_type.integer, by_type.set = by_type.number, by_type.array

--- A value as a field's type has it; "" is null, what does not fit stays as it is.
function infer_value(value, field)
  if not value or type(field) ~= "table" then
    return value
  elseif value == "" or value == null then
    return null
  end
  local how = by_type[field.type]
  if how then
    return how(value, field)
  end
  return value
end

function infer(args, schema)
  if not args or not schema then
    return args
  end
  for name, field in schema:each_field(args) do
    if args[name] then
      args[name] = infer_value(args[name], field)
    end
  end
  infer_fields(args, schema.shorthand_fields)
  if schema.ttl == true and args.ttl then
    args.ttl = tonumber(args.ttl) or args.ttl
  end
  return args
end

--- Arguments as fields: nested, joined, typed.
local function decode(args, schema)
  return infer(combine(decoder.decode(args)), schema)
end

-- === the request's ===

local function too_many()
  return kong.response.exit(400, { message = "Too many arguments" })
end

local function body_table(options, content_type)
  local kind = content_type:lower()
  ngx.req.read_body()
  if kind:find("application/x-www-form-urlencoded", 1, true) == 1 then
    local args, err = ngx.req.get_post_args(options.max_post_args or 1000)
    if err == "truncated" then
      return too_many()
    end
    return args
  elseif kind:find("application/json", 1, true) == 1 then
    -- JSON says its own types
    return require("cjson.safe").decode(ngx.req.get_body_data() or ""), true
  elseif options.multipart ~= false and kind:find("multipart/form-data", 1, true) == 1 then
    local body = ngx.req.get_body_data()
    return body and require("multipart")(body, content_type):get_all_with_arrays()
  end
  return nil, true, ngx.req.get_body_data()
end

--- The arguments of the request: `uri`, `post`, and `body` where it is no form.
local function read(options)
  options = options or {}
  local decoded = options.decode ~= false
  local args = setmetatable({ uri = {}, post = {} }, {
    __index = function(self, name)
      local value = rawget(self, "post")[name]
      if not value then
        value = rawget(self, "uri")[name]
      end
      return value
    end,
  })
  local uri, err = ngx.req.get_uri_args(options.max_uri_args or 1000)
  if err == "truncated" then
    return too_many()
  end
  args.uri = decoded and decode(uri, options.schema) or uri
  local content_type = ngx.var.content_type
  if content_type then
    local post, typed, body = body_table(options, content_type)
    if post then
      args.post = decoded and not typed and decode(post, options.schema) or post
    end
    rawset(args, "body", body)
  end
  return args
end

return {
  load = read,
  infer_value = infer_value,
  decode = decode,
  _infer = infer,
  _combine = combine,
}
