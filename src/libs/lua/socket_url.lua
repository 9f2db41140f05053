-- `socket.url`: URLs taken apart and put together (RFC 3986), as LuaSocket does.

local M = { _VERSION = "URL 1.0.3" }

--- Percent-encodes all but unreserved characters.
function M.escape(s)
  return (s:gsub("([^A-Za-z0-9_])", function(c) return ("%%%02x"):format(c:byte()) end))
end

function M.unescape(s)
  return (s:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

--- The parts of a URL: scheme, authority, userinfo, user, password, host, port, path, params, query, fragment.
function M.parse(url, default)
  local parsed = {}
  for k, v in pairs(default or {}) do
    parsed[k] = v
  end
  if not url or url == "" then
    return nil, "invalid url"
  end
  local function take(pattern, field)
    url = url:gsub(pattern, function(v)
      parsed[field] = v
      return ""
    end)
  end
  take("#(.*)$", "fragment")
  take("^([%w][%w+%-.]*):", "scheme")
  take("^//([^/?#]*)", "authority")
  take("%?(.*)", "query")
  take(";(.*)", "params")
  if url ~= "" then
    parsed.path = url
  end
  local authority = parsed.authority
  if not authority then
    return parsed
  end
  local userinfo, rest = authority:match("^([^@]*)@(.*)$")
  if userinfo then
    authority, parsed.userinfo = rest, userinfo
    parsed.user, parsed.password = userinfo:match("^([^:]*):?(.*)$")
    if not userinfo:find(":", 1, true) then
      parsed.password = nil
    end
  end
  local host, port = authority:match("^(.*):([^:%]]*)$")
  parsed.port = port or parsed.port
  host = host or authority
  if host ~= "" then
    parsed.host = host:match("^%[(.+)%]$") or host
  end
  return parsed
end

--- The URL of such parts.
function M.build(parsed)
  local url = parsed.path or ""
  if parsed.params then
    url = url .. ";" .. parsed.params
  end
  if parsed.query then
    url = url .. "?" .. parsed.query
  end
  local authority = parsed.authority
  if parsed.host then
    authority = parsed.host
    if authority:find(":", 1, true) then
      authority = "[" .. authority .. "]"
    end
    if parsed.port then
      authority = authority .. ":" .. tostring(parsed.port)
    end
    local userinfo = parsed.userinfo
    if parsed.user then
      userinfo = parsed.user .. (parsed.password and ":" .. parsed.password or "")
    end
    if userinfo then
      authority = userinfo .. "@" .. authority
    end
  end
  if authority then
    url = "//" .. authority .. url
  end
  if parsed.scheme then
    url = parsed.scheme .. ":" .. url
  end
  return parsed.fragment and url .. "#" .. parsed.fragment or url
end

local function without_dots(path)
  return (require("kong.tools.uri").normalize(path, false))
end

--- A reference resolved against a base URL.
function M.absolute(base, relative)
  local b = type(base) == "table" and base or M.parse(base)
  local r = M.parse(relative)
  if not b then
    return relative
  elseif not r then
    return M.build(b)
  elseif r.scheme then
    return relative
  end
  r.scheme = b.scheme
  if not r.authority then
    for _, k in ipairs { "authority", "userinfo", "user", "password", "host", "port" } do
      r[k] = b[k]
    end
    if not r.path then
      r.path, r.params = b.path, r.params or b.params
      r.query = r.query or b.query
    elseif r.path:sub(1, 1) ~= "/" then
      r.path = without_dots((b.path or "/"):gsub("[^/]*$", "") .. r.path)
    end
  end
  return M.build(r)
end

--- The decoded segments of a path.
function M.parse_path(path)
  local parsed = {}
  for segment in (path or ""):gmatch("[^/]+") do
    parsed[#parsed + 1] = M.unescape(segment)
  end
  parsed.is_absolute = (path or ""):sub(1, 1) == "/" and 1 or nil
  parsed.is_directory = (path or ""):sub(-1) == "/" and 1 or nil
  return parsed
end

--- The path of such segments.
function M.build_path(parsed, unsafe)
  local out = {}
  for i, segment in ipairs(parsed) do
    out[i] = unsafe and segment or M.escape(segment)
  end
  return (parsed.is_absolute and "/" or "") .. table.concat(out, "/")
    .. (parsed.is_directory and #out > 0 and "/" or "")
end

return M
