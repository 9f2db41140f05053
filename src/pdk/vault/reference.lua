-- Vault references: what looks like one, and its parts.

local type, tostring, tonumber = type, tostring, tonumber
local byte, sub, gmatch, concat = string.byte, string.sub, string.gmatch, table.concat

local PREFIX = "{vault://"
local OPENING, CLOSING = byte("{"), byte("}")

local M = {}

--- Whether `value` looks like a reference. Most values are none, and are told apart by their first byte.
function M.is_reference(value)
  return type(value) == "string"
    and byte(value) == OPENING
    and byte(value, -1) == CLOSING
    and sub(value, 1, #PREFIX) == PREFIX
end

-- Each segment is decoded twice, as a URL's path and as what a browser sends: `%2520` is a space.
local function segments(path)
  local unescape = require("socket.url").unescape
  local list = {}
  for segment in gmatch(path, "[^/]+") do
    list[#list + 1] = unescape(segment)
  end
  return list
end

local function refusal(why, reference)
  return nil, why .. " [" .. tostring(reference) .. "]"
end

--- The parts of `{vault://name/resource/key?config#version}`; without a trailing slash the last of several
--- segments is the key. Or nil and why it is no reference.
function M.parse(reference)
  if not M.is_reference(reference) then
    return refusal("not a reference", reference)
  end
  local url, err = require("socket.url").parse(sub(reference, 2, -2))
  if not url then
    return refusal("reference is not url (" .. tostring(err) .. ")", reference)
  elseif not url.host then
    return refusal("reference url is missing host", reference)
  elseif not url.path then
    return refusal("reference url is missing path", reference)
  end
  local path = sub(url.path, 2)
  if path == "" then
    return refusal("reference url has empty path", reference)
  end
  local version
  if url.fragment then
    version = tonumber(url.fragment, 10)
    if not version then
      return refusal("reference url has invalid version", reference)
    end
  end
  local parts = segments(path)
  local count = #parts
  if count == 0 then
    return refusal("reference url has invalid path", reference)
  end
  local key
  if count > 1 and byte(path, -1) ~= byte("/") then
    key = ngx.unescape_uri(parts[count])
    count = count - 1
  end
  local config
  if url.query and url.query ~= "" then
    config = ngx.decode_args(url.query)
  end
  return {
    name = url.host,
    resource = ngx.unescape_uri(concat(parts, "/", 1, count)),
    key = key,
    config = config,
    version = version,
  }
end

return M
