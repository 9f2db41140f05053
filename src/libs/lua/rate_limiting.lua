-- `kong.pdk.private.rate_limiting`: headers that tell the limits, kept in the request's context until the response
-- has its head.

local M = {}

local KEY = "__rate_limiting_context__"

local function check(ok, n, name, of, what, value)
  if not ok then
    error(("arg #%d `%s` for function `%s` must be %s, got %s"):format(n, name, of, what, type(value)), 3)
  end
end

--- Keeps a header for the response.
function M.store_response_header(ctx, key, value)
  local kind = type(value)
  check(type(key) == "string", 2, "key", "store_response_header", "a string", key)
  check(kind == "number" or kind == "string", 3, "value", "store_response_header", "a string or a number", value)
  ctx[KEY] = ctx[KEY] or {}
  ctx[KEY][key] = value
end

--- A header that was kept.
function M.get_stored_response_header(ctx, key)
  check(type(key) == "string", 2, "key", "get_stored_response_header", "a string", key)
  return ctx[KEY] and ctx[KEY][key]
end

--- Sets the headers that were kept.
function M.apply_response_headers(ctx)
  for key, value in pairs(ctx[KEY] or {}) do
    ngx.header[key] = tostring(value)
  end
end

return M
