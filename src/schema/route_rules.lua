-- What the router asks of a route as a whole (flavors `traditional_compatible` and `expressions`): that criteria
-- and expression are not mixed, and that what they say can be matched.
--
-- A route's criteria mean an expression. Nearly all criteria have been judged field by field before, so that
-- their expression needs not be written: it is when a regular expression or an address is refused, for the
-- message speaks of its text.

local ops = require("moongate.ops").schema
local parse_ipv4

local null = ngx.null
local find, format, gsub, lower, match, sub =
  string.find, string.format, string.gsub, string.lower, string.match, string.sub
local concat = table.concat

local STREAM = { tcp = true, udp = true, tls = true, tls_passthrough = true }

local function unset(value)
  return value == nil or value == null
end

local function empty(value)
  return value == nil or value == null or next(value) == nil
end

-- === the expression that criteria mean ===

local function quoted(text)
  if not find(text, '"#', 1, true) then
    return 'r#"' .. text .. '"#'
  end
  return '"' .. gsub(gsub(text, "\\", "\\\\"), '"', '\\"') .. '"'
end

local function any_of(terms)
  return "(" .. concat(terms, " || ") .. ")"
end

-- The wildcard at an end of a name, as operator and rest.
local function wildcard(name)
  if sub(name, 1, 1) == "*" then
    return "=^", sub(name, 2)
  elseif sub(name, -1) == "*" then
    return "^=", sub(name, 1, -2)
  end
  return "==", name
end

local function sni_term(sni)
  local op, name = wildcard(sni)
  -- The dot at a name's end means nothing.
  if op ~= "^=" and #name > 1 and sub(name, -1) == "." then
    name = sub(name, 1, -2)
  end
  return "tls.sni " .. op .. " " .. quoted(name)
end

-- A path's regular expression, anchored, with named groups as the `regex` crate writes them.
local function anchored(path)
  return "^" .. gsub(sub(path, 2), "%?<", "?P<")
end

local function is_regex(path)
  return sub(path, 1, 1) == "~"
end

local function path_term(path)
  if is_regex(path) then
    return "http.path ~ " .. quoted(anchored(path))
  end
  return "http.path ^= " .. quoted(path)
end

local function method_term(method)
  return "http.method == " .. quoted(method)
end

local function host_term(host)
  local name, port = match(host, "^([^:]*):(.*)$")
  port = port and tonumber(port)
  local op, rest = wildcard(port and name or host)
  local term = "http.host " .. op .. ' r#"' .. rest .. '"#'
  return port and "(" .. term .. " && net.dst.port == " .. port .. ")" or term
end

local function header_regex(value)
  return sub(value, 1, 2) == "~*" and lower(sub(value, 3)) or nil
end

-- IPv4 blocks are written from their first address.
local function block(ip)
  local address, bits = match(ip, "^(.-)/(%d+)$")
  if not address then
    return "== " .. ip
  end
  parse_ipv4 = parse_ipv4 or require("kong.tools.ip").normalize_ipv4
  local plain = parse_ipv4(address)
  bits = tonumber(bits)
  if plain and bits > 0 then
    local a, b, c, d = match(plain, "(%d+)%.(%d+)%.(%d+)%.(%d+)")
    local n = ((a * 256 + b) * 256 + c) * 256 + d
    n = n - n % 2 ^ (32 - bits)
    address = format("%d.%d.%d.%d", n / 2 ^ 24, n / 2 ^ 16 % 256, n / 2 ^ 8 % 256, n % 256)
  end
  return "in " .. address .. "/" .. bits
end

local function end_term(side, place)
  local ip = not unset(place.ip) and "net." .. side .. ".ip " .. block(place.ip)
  local port = not unset(place.port) and "net." .. side .. ".port == " .. place.port
  return ip and port and "(" .. ip .. " && " .. port .. ")" or ip or port
end

local function each(list, term, first)
  local terms = {}
  for i = 1, #list do
    if first then
      terms[i] = term(first, list[i])
    else
      terms[i] = term(list[i])
    end
  end
  return any_of(terms)
end

local function expression_of(route, stream)
  local all = {}
  if not empty(route.snis) then
    local tls = stream and "tls" or "https"
    all[#all + 1] = '(net.protocol != r#"' .. tls .. '"# || ' .. each(route.snis, sni_term) .. ")"
  end
  if not empty(route.sources) then
    all[#all + 1] = each(route.sources, end_term, "src")
  end
  if not empty(route.destinations) then
    all[#all + 1] = each(route.destinations, end_term, "dst")
  end
  if not stream then
    if not empty(route.methods) then
      all[#all + 1] = each(route.methods, method_term)
    end
    if not empty(route.hosts) then
      all[#all + 1] = each(route.hosts, host_term)
    end
    if not empty(route.paths) then
      all[#all + 1] = each(route.paths, path_term)
    end
    if not empty(route.headers) then
      for name, values in pairs(route.headers) do
        local field = "any(lower(http.headers." .. lower((gsub(name, "-", "_"))) .. ")) "
        all[#all + 1] = each(values, function(value)
          local pattern = header_regex(value)
          return field .. (pattern and "~ " .. quoted(pattern) or "== " .. quoted(lower(value)))
        end)
      end
    end
  end
  return concat(all, " && ")
end

-- === what criteria may be refused for ===

local function plain_ends(places)
  if empty(places) then
    return true
  end
  for i = 1, #places do
    local ip = places[i].ip
    if not unset(ip) and find(ip, "[:/]") then
      return false
    end
  end
  return true
end

local function sound_paths(paths)
  if empty(paths) then
    return true
  end
  for i = 1, #paths do
    local path = paths[i]
    if is_regex(path) and not ops.is_router_regex(anchored(path)) then
      return false
    end
  end
  return true
end

local function sound_headers(headers)
  if empty(headers) then
    return true
  end
  for _, values in pairs(headers) do
    for i = 1, #values do
      local pattern = header_regex(values[i])
      if pattern and not ops.is_router_regex(pattern) then
        return false
      end
    end
  end
  return true
end

local function sound(route, stream)
  return plain_ends(route.sources)
    and plain_ends(route.destinations)
    and (stream or sound_paths(route.paths) and sound_headers(route.headers))
end

-- === expressions ===

local OLD_PORT = "The field 'net.port' of expression is deprecated and will be removed in the upcoming major "
  .. "release, please use 'net.dst.port' instead."

local function without_net_port(expression)
  if not find(expression, "net.port", 1, true) then
    return expression
  end
  local new, count = gsub(expression, "net%.port(%s*[=><!])", "net.dst.port%1")
  if count > 0 then
    ngx.log(ngx.WARN, OLD_PORT)
  end
  return new
end

local function refused(why)
  return nil, "Router Expression failed validation: " .. why
end

local CRITERIA = "'methods', 'hosts', 'paths', 'headers', 'snis', 'sources' or 'destinations' simultaneously"

local function without_criteria(route)
  return empty(route.snis)
    and empty(route.sources)
    and empty(route.destinations)
    and empty(route.methods)
    and empty(route.hosts)
    and empty(route.paths)
    and empty(route.headers)
end

local M = {}

--- The entity check of routes: true, or nil and why the route is refused.
function M.check(route)
  local expression, bare = route.expression, without_criteria(route)
  local stream = STREAM[route.protocols[1]] or false
  if unset(expression) then
    if bare then
      return true
    end
    if not unset(route.priority) and route.priority ~= 0 then
      return refused("cannot set 'priority' with " .. CRITERIA)
    end
    if sound(route, stream) then
      return true
    end
    expression = expression_of(route, stream)
  else
    if not bare then
      return refused("cannot set 'expression' with " .. CRITERIA)
    end
    if not unset(route.regex_priority) and route.regex_priority ~= 0 then
      return refused("cannot set 'regex_priority' with 'expression' simultaneously")
    end
  end
  local ok, why = ops.check_expression(without_net_port(expression), stream)
  if not ok then
    return refused(why)
  end
  return true
end

return M
