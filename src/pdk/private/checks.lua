-- Header names and values as Kong takes them.

local type, error, ipairs, pairs, tostring = type, error, ipairs, pairs, tostring
local fmt = string.format

local checks = {}

local function filled(value)
  return value == "" and " " or value
end

function checks.normalize_header(value)
  if type(value) == "string" then
    return filled(value)
  end
  return tostring(value)
end

function checks.normalize_multi_header(value)
  if type(value) ~= "table" then
    return checks.normalize_header(value)
  end
  local values = {}
  for i, v in ipairs(value) do
    values[i] = filled(v)
  end
  return values
end

local function check_name(name, level)
  if type(name) ~= "string" then
    error(fmt("invalid header name %q: got %s, expected string", tostring(name), type(name)), level + 1)
  end
end

local function check_array(name, values, level)
  for _, v in ipairs(values) do
    if type(v) ~= "string" then
      error(fmt("invalid header value in array %q: got %s, expected string", name, type(v)), level + 1)
    end
  end
end

function checks.validate_header(name, value)
  check_name(name, 3)
  local kind = type(value)
  if kind == "string" then
    return value
  end
  if kind == "table" then
    check_array(name, value, 3)
    return value
  end
  if kind == "number" or kind == "boolean" then
    return tostring(value)
  end
  error(fmt("invalid header value for %q: got %s, expected array of string, string, number or boolean", name, kind),
        3)
end

function checks.validate_headers(headers)
  if type(headers) ~= "table" then
    error("headers must be a table", 3)
  end
  for name, value in pairs(headers) do
    check_name(name, 3)
    local kind = type(value)
    if kind == "table" then
      check_array(name, value, 3)
    elseif kind ~= "string" and kind ~= "number" and kind ~= "boolean" then
      error(fmt("invalid header value for %q: got %s, expected string, number, boolean or array of strings", name,
                kind), 3)
    end
  end
end

return checks
