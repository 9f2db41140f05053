-- `kong.observability.tracing.propagation.utils`: the formats of tracing headers, and ids in them.

local M = {
  FORMATS = {
    W3C = "w3c", B3 = "b3", B3_SINGLE = "b3-single", JAEGER = "jaeger", OT = "ot", DATADOG = "datadog", AWS = "aws",
    GCP = "gcp", INSTANA = "instana",
  },
}

--- Hexadecimal digits as bytes; nil and an error.
function M.from_hex(text)
  if type(text) ~= "string" then
    return nil, "not a string"
  end
  if #text % 2 ~= 0 then
    text = "0" .. text
  end
  return (text:gsub("%x%x", function(digits) return string.char(tonumber(digits, 16)) end))
end

--- An id cut to its last `size` bytes, or filled with zeros in front.
function M.to_id_size(id, size)
  if not id then
    return nil
  elseif #id > size then
    return id:sub(-size)
  end
  return ("\0"):rep(size - #id) .. id
end

function M.to_kong_trace_id(id)
  return M.to_id_size(id, 16)
end

function M.to_kong_span_id(id)
  return M.to_id_size(id, 8)
end

local sealed = {
  __newindex = function()
    error("attempt to set immutable baggage", 2)
  end,
}

--- The baggage in headers whose names fit a pattern with one capture; nil if there is none.
function M.parse_baggage_headers(headers, pattern)
  local baggage
  for name, value in pairs(headers) do
    local key = name:match(pattern)
    if key then
      baggage = baggage or {}
      baggage[key] = ngx.unescape_uri(value)
    end
  end
  return baggage and setmetatable(baggage, sealed)
end

return M
