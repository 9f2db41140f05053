-- `pgmoon.json`: JSON as a PostgreSQL literal. Kong's core uses it in migrations; there is no database here, but
-- the text is the same.

local cjson = require "cjson"

return {
  encode_json = function(value, escape_literal)
    local text = cjson.encode(value)
    if escape_literal then
      return escape_literal(text)
    end
    return "'" .. text:gsub("'", "''") .. "'"
  end,
  decode_json = function(text)
    return cjson.decode(text)
  end,
}
