-- `kong.api.arguments_decoder`: names of arguments such as `a.b`, `a[1]`, `a[key]` as nested tables.

local getmetatable, tonumber, type, rawget, insert = getmetatable, tonumber, type, rawget, table.insert

local multipart_mt = {
  __tostring = function(self) return self.data end,
  __index = function(self, name)
    local json = rawget(self, "json")
    return json and json[name]
  end,
}

local WRITES = { POST = true, PUT = true, PATCH = true }

-- The keys in `[foo][2].bar`, and whether one in brackets is a name.
local function extract_param_keys(text)
  local iterator, err = ngx.re.gmatch(text, [=[\.([^\[\.]+)|\[([^\]]*)\]]=], "jos")
  if not iterator then
    return nil, err
  end
  local keys, is_map = {}, false
  for found in iterator do
    local key = found[1]
    if not key then
      key = found[2]
      is_map = is_map or key ~= "" and tonumber(key) == nil
    end
    insert(keys, key)
  end
  return keys, nil, is_map
end

-- The part before the first dot or bracket after the first character, and the keys behind it.
local function get_param_name_and_keys(text)
  local at = text:find("[%[%.]", 2)
  if not at then
    return nil, "keys not found"
  end
  local keys, err, is_map = extract_param_keys(text:sub(at))
  if not keys then
    return nil, err
  end
  return text:sub(1, at - 1), nil, keys, is_map
end

-- Puts a value at the end of a path of keys: the place it is in.
local function nest_path(container, path, value)
  container = container or {}
  if type(path) ~= "table" then
    return nil, "path must be a table"
  end
  for i = 1, #path do
    local key, last = path[i], i == #path
    local index = tonumber(key)
    if key ~= "" and not index then
      if last then
        container[key] = value
        return container[key]
      elseif not container[key] then
        container[key] = {}
        container = container[key]
      end
    elseif not last then
      index = index or 1
      if not container[index] then
        container[index] = {}
        container = container[index]
      end
    elseif index then
      insert(container, index, value)
      return container[index]
    elseif type(value) == "table" and getmetatable(value) ~= multipart_mt then
      for j, item in ipairs(value) do
        insert(container, j, item)
      end
      return container
    else
      container[#container + 1] = value
      return container
    end
  end
end

local function decode_map_array_arg(name, value, container)
  local param, err, keys, is_map = get_param_name_and_keys(name)
  if not param or #keys == 0 then
    return nil, err or "not a map or array"
  end
  if is_map and not WRITES[ngx.req.get_method()] then
    return nil, "map not supported for this method"
  end
  return nest_path(container, { param, unpack(keys) }, value)
end

local function put(name, value, container)
  local place = type(name) == "string" and decode_map_array_arg(name, value, container)
  if not place then
    container[name] = value
    return value
  end
  return place
end

local function decode_arg(raw, value)
  if type(raw) ~= "string" or ngx.re.match(raw, [[^\.+|\.$]], "jos") then
    return { name = value }
  end
  local name = ngx.re.gsub(raw, "%5B(.*?)%5D", "[$1]", "josi")
  local steps = {}
  -- dots within brackets do not separate
  local iterator, err = ngx.re.gmatch(name, [=[([^.](?:\[[^\]]*\])*)+]=], "jos")
  if iterator then
    for found in iterator do
      insert(steps, found[0])
    end
  elseif err then
    ngx.log(ngx.NOTICE, err)
  end
  local root = {}
  if #steps == 0 then
    return put(name, value, root)
  end
  local place = root
  for i = 1, #steps - 1 do
    place = put(steps[i], {}, place)
  end
  put(steps[#steps], value, place)
  return root
end

--- A list with a nested table for each argument.
local function decode(args)
  local out = {}
  if type(args) == "table" then
    for name, value in pairs(args) do
      out[#out + 1] = decode_arg(name, value)
    end
  end
  return out
end

return {
  decode = decode,
  multipart_mt = multipart_mt,
  _decode_arg = decode_arg,
  _extract_param_keys = extract_param_keys,
  _get_param_name_and_keys = get_param_name_and_keys,
  _nest_path = nest_path,
  _decode_map_array_arg = decode_map_array_arg,
}
