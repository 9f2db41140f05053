-- `kong.tools.mime_type`: media types taken apart and compared.

local M = {}

local TOKEN = "[!#$%%&'*+%-.^_`|~%w]+"
local PARAMETER = "^[ \t]*;[ \t]*(" .. TOKEN .. ")=()"
local BARE = "^(" .. TOKEN .. ")()"
local QUOTED = "^\"([^%c\"]*)\"()"

local function parameters(text, at)
  local params = {}
  while at <= #text do
    local name, value, from
    name, from = text:match(PARAMETER, at)
    if not name then
      return nil
    end
    value, at = text:match(BARE, from)
    if not value then
      value, at = text:match(QUOTED, from)
    end
    if not value then
      return nil
    end
    params[name:lower()] = value
  end
  return params
end

--- Type, subtype (both in lower case) and a table of parameters; nil for what is no media type.
function M.parse_mime_type(text)
  local kind, subtype, at = text:match("^(" .. TOKEN .. ")/(" .. TOKEN .. ")()")
  if not kind then
    if text:sub(1, 1) ~= "*" then
      return nil
    end
    kind, subtype, at = "*", "*", 2
  end
  local params = parameters(text, at)
  if not params then
    return nil
  end
  return kind:lower(), subtype:lower(), params
end

--- Whether one `{type=, subtype=}` includes another: wildcards, and suffixes as in `*+json`.
function M.includes(this, other)
  if type(this) ~= "table" then
    error("this must be a table", 2)
  elseif type(other) ~= "table" then
    error("other must be a table", 2)
  end
  if this.type == "*" then
    return true
  elseif this.type ~= other.type then
    return false
  elseif this.subtype == "*" or this.subtype == other.subtype then
    return true
  end
  local suffix = "+" .. this.subtype
  return not this.subtype:find("+", 1, true) and other.subtype:sub(-#suffix) == suffix
end

return M
