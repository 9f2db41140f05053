-- `kong.tools.http`: header names, arguments, media types.

local strings = require "kong.tools.string"
local url = require "socket.url"

local null = require("cjson").null
local parse_http_time, now = ngx.parse_http_time, ngx.time

local M = {}

M.CONTENT_TYPES = {
  CONTENT_TYPE = "Content-Type",
  CONTENT_TYPE_POST = "application/x-www-form-urlencoded",
  CONTENT_TYPE_JSON = "application/json",
  CONTENT_TYPE_FORM_DATA = "multipart/form-data",
}

-- === arguments ===

local function by_type_then_order(a, b)
  if type(a) == type(b) then
    return a < b
  end
  return type(a) == "number"
end

local function sorted_keys(t)
  local keys = {}
  for k in pairs(t) do
    keys[#keys + 1] = k
  end
  table.sort(keys, by_type_then_order)
  return keys
end

local function pair(key, value, raw)
  if not raw then
    key = url.escape(tostring(key))
    value = value ~= nil and url.escape(tostring(value)) or nil
  end
  return value ~= nil and key .. "=" .. tostring(value) or tostring(key)
end

local function nested(parent, value, raw, no_indexes, out)
  for _, k in ipairs(sorted_keys(value)) do
    local name
    if type(k) ~= "number" then
      name = parent .. "." .. tostring(k)
    else
      name = no_indexes and parent .. "[]" or parent .. "[" .. k .. "]"
    end
    if type(value[k]) == "table" then
      nested(name, value[k], raw, no_indexes, out)
    else
      out[#out + 1] = pair(name, value[k], raw)
    end
  end
end

--- A table as query arguments, nested tables as `a[1]` and `a.b`.
function M.encode_args(args, raw, no_array_indexes)
  local out = {}
  for _, key in ipairs(sorted_keys(args)) do
    local value = args[key]
    if type(value) == "table" then
      nested(key, value, raw, no_array_indexes, out)
    elseif value == null then
      out[#out + 1] = pair(key, "")
    elseif tostring(value) == "" then
      out[#out + 1] = key
    else
      out[#out + 1] = pair(key, tostring(value), raw)
    end
  end
  return table.concat(out, "&")
end

local function list_of(t)
  local count, list = 0, {}
  for _ in pairs(t) do
    count = count + 1
  end
  for i = 1, count do
    local v = t[tostring(i)]
    if v == nil then
      v = t[i]
    end
    if v == nil then
      return nil
    end
    list[i] = v
  end
  return list
end

local WORDS = { [""] = null, ["true"] = true, ["false"] = false }

--- Arguments with the types their words mean; tables indexed by digits become lists.
function M.decode_args(args)
  local new = {}
  for k, v in pairs(args) do
    if type(v) == "table" then
      v = list_of(v) or v
    elseif WORDS[v] ~= nil then
      v = WORDS[v]
    end
    new[k] = v
  end
  return new
end

-- === headers ===

--- Whether the request came over TLS, to us or (if allowed) to a trusted proxy before us.
function M.check_https(trusted_ip, allow_terminated)
  if ngx.var.scheme:lower() == "https" then
    return true
  end
  local scheme = allow_terminated and trusted_ip and ngx.var.http_x_forwarded_proto
  if not scheme then
    return false
  end
  if scheme:find(",", 1, true) then
    return nil, "Only one X-Forwarded-Proto header allowed"
  end
  return scheme:lower() == "https"
end

--- The token itself if it is one, else nil and why.
function M.validate_http_token(token)
  if token == nil or token == "" then
    return nil, "no token provided"
  end
  if not token:find('[%z\1-\32\127-\255()<>@,;:\\"/?={}%[%]]') then
    return token
  end
  return nil, "contains one or more invalid characters. ASCII "
    .. "control characters (0-31;127), space, tab and the "
    .. "characters ()<>@,;:\\\"/?={}[] are not allowed."
end

M.validate_cookie_name = M.validate_http_token

--- The name itself if it is one, else nil and why.
function M.validate_header_name(name)
  if name == nil or name == "" then
    return nil, "no header name provided"
  end
  if name:find("^[%w_-]+$") then
    return name
  end
  return nil, "bad header name '" .. name .. "', allowed characters are A-Z, a-z, 0-9, '_', and '-'"
end

--- The first value of a request header.
function M.get_header(name, ctx)
  local headers
  if ctx then
    headers = ctx.cached_request_headers or ngx.req.get_headers()
    ctx.cached_request_headers = headers
  else
    local value = ngx.var["http_" .. strings.replace_dashes(name)]
    if not value or not value:find(", ", 1, true) then
      return value
    end
    headers = ngx.req.get_headers()
  end
  local value = headers[name]
  return type(value) == "table" and value[1] or value
end

--- Directives of a header such as Cache-Control: name to value, or true.
function M.parse_directive_header(h)
  if not h then
    return require("kong.tools.table").EMPTY
  end
  if type(h) == "table" then
    h = table.concat(h, ", ")
  end
  local t = {}
  for part in h:gmatch("[^,]+") do
    local name, value = part:match("^%s*([^=]+)=?(.*)$")
    if name then
      t[name:lower()] = value == "" and true or tonumber(value) or value
    end
  end
  return t
end

--- Seconds that a response may be kept, from Cache-Control or Expires.
function M.calculate_resource_ttl(cache_control)
  local age = cache_control and (cache_control["s-maxage"] or cache_control["max-age"])
  if not age then
    local expires = ngx.var.sent_http_expires
    if type(expires) == "table" then
      expires = expires[#expires]
    end
    local at = parse_http_time(tostring(expires))
    age = at and at - now()
  end
  return age and math.max(age, 0) or 0
end

-- === answers ===

local FORCED = {
  [405] = "Method not allowed",
  [500] = "An unexpected error occurred",
  [502] = "Bad gateway",
}
local USUAL = { [401] = "Unauthorized", [404] = "Not found", [503] = "Service unavailable" }

--- The body of an answer that gives none.
function M.get_default_exit_body(status, message)
  if type(status) ~= "number" then
    error("code must be a number", 2)
  elseif status < 100 or status > 599 then
    error("code must be a number between 100 and 599", 2)
  end
  if status == 204 then
    return nil
  end
  local body = FORCED[status] or message or USUAL[status]
  if body ~= nil and type(body) ~= "table" then
    body = { message = body }
  end
  return body
end

local MIME = {
  ["application/grpc"] = "",
  ["text/html"] = "text/html; charset=utf-8",
  ["application/json"] = "application/json; charset=utf-8",
  ["text/plain"] = "text/plain; charset=utf-8",
  ["application/xml"] = "application/xml; charset=utf-8",
  application = "application/json; charset=utf-8",
  text = "text/plain; charset=utf-8",
}
local DEFAULT = MIME["application/json"]

--- The full media type that a header's media range stands for.
function M.get_mime_type(header, use_default)
  local range = strings.split_once(strings.strip(header), ";")
  local major, minor = range:match("^([^/]+)/([^/]+)$")
  local found
  if minor == "*" then
    found = major == "*" and DEFAULT or MIME[major]
  elseif minor then
    found = MIME[range]
  end
  if found or use_default ~= false then
    return found or DEFAULT
  end
  return nil, "could not find MIME type"
end

--- The media type of an error's body for an Accept header.
function M.get_response_type(accept)
  if type(accept) == "table" then
    accept = table.concat(accept, ",")
  end
  local best, kind = 0, DEFAULT
  for range in (accept or ""):gmatch("[^,]+") do
    local media = strings.strip((strings.split_once(range, ";")))
    local q = tonumber(range:match(";%s*[qQ]=([01]%.?%d*)")) or 1
    if q > best and media:find("^[%w!#$&^_+.*-]+/[%w!#$&^_+.*-]+$") then
      best, kind = q, M.get_mime_type(media)
    end
  end
  return kind
end

return M
