-- `kong.db.declarative.marshaller`: values as bytes and back.

local buffer = require "string.buffer"

local M = {}

--- The bytes of a value; nil of nil.
function M.marshall(value)
  if value ~= nil then
    return buffer.encode(value)
  end
end

--- The value of bytes; what went wrong before is passed on.
function M.unmarshall(value, err)
  if value == nil or err then
    return nil, err
  end
  return buffer.decode(value)
end

return M
