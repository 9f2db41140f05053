-- Types of names: entities', tags', headers', cookies', methods', versions.

local Schema = require "kong.db.schema"
local tools_http = require "kong.tools.http"
local validate_utf8 = require("kong.tools.string").validate_utf8

local find = string.find

-- Plain ASCII needs no look at UTF-8.
local function utf8(value)
  if not find(value, "[\128-\255]") then
    return true
  end
  local ok, at = validate_utf8(value)
  if ok then
    return true
  end
  return nil, "invalid utf-8 character sequence detected at position " .. tostring(at)
end

local function name(value)
  if find(value, "^[%w.%-_~]+$") then
    return true
  end
  return nil, "invalid value '" .. value .. "': it must only contain alphanumeric and '., -, _, ~' characters"
end

local function utf8_name(value)
  if find(value, "^[%w.%-_~]+$") then
    return true
  end
  local ok, err = utf8(value)
  if not ok then
    return nil, err
  end
  if find(value, "^[%w.%-_~\128-\244]+$") then
    return true
  end
  return nil, "invalid value '" .. value
    .. "': the only accepted ascii characters are alphanumerics or ., -, _, and ~"
end

-- Space to "~" without "," and "/", and what is not ASCII.
local function tag(value)
  local ok, err = utf8(value)
  if not ok then
    return nil, err
  end
  if find(value, "^[ -+%-.0-~\128-\244]+$") then
    return true
  end
  return nil, "invalid tag '" .. value .. "': expected printable ascii (except `,` and `/`) or valid utf-8 sequences"
end

local a_tag = Schema.define {
  type = "string",
  required = true,
  custom_validator = tag,
  description = "A tag of an entity.",
}

return {
  name = Schema.define {
    type = "string",
    unique = true,
    custom_validator = name,
    description = "A name that no other has.",
  },
  utf8_name = Schema.define {
    type = "string",
    unique = true,
    custom_validator = utf8_name,
    description = "A name in UTF-8 that no other has.",
  },
  tag = a_tag,
  tags = Schema.define { type = "set", elements = a_tag, description = "Tags to group entities by." },
  header_name = Schema.define {
    type = "string",
    custom_validator = tools_http.validate_header_name,
    description = "The name of an HTTP header.",
  },
  cookie_name = Schema.define {
    type = "string",
    custom_validator = tools_http.validate_cookie_name,
    description = "The name of a cookie: a token of RFC 2616.",
  },
  http_method = Schema.define {
    type = "string",
    match = "^%u+$",
    description = "An HTTP method, in capitals.",
  },
  capability = Schema.define { type = "string", description = "A capability of RPC." },
  semantic_version = Schema.define {
    type = "string",
    match_any = {
      patterns = { "^%d+[%.%d]*$", "^%d+[%.%d]*%-?.*$" },
      err = "invalid version number: must be in format of X.Y.Z",
    },
    match_none = { { pattern = "%.%.", err = "must not have empty version segments" } },
    description = "A version, X.Y.Z, perhaps with a build after a dash.",
  },
}
