-- `resty.ljsonschema`: validators for JSON schemas of draft 4, with that library's names and messages.

local cjson = require "cjson"
local compile = require "moongate.libs.ljsonschema.compile"
local metaschema = require "resty.ljsonschema.metaschema"
local refs = require "moongate.libs.ljsonschema.refs"
local values = require "moongate.libs.ljsonschema.values"

local M = {}

local function match_pattern(subject, pattern)
  return ngx.re.find(subject, pattern, "jo")
end

--- A function that judges a value: true, or false and an error. `custom` may have `null`, `array_mt` (false: told
--- by the keys), `match_pattern`, `str_len`, `external_resolver`, `coercion`, `name`.
function M.generate_validator(schema, custom)
  custom = custom or {}
  local array_mt = custom.array_mt
  if array_mt == nil then
    array_mt = cjson.array_mt
  end
  local null = custom.null
  if null == nil then
    null = cjson.null
  end
  local check = compile(schema, refs.new(schema, custom.external_resolver), {
    null = null,
    array_mt = array_mt,
    match_pattern = custom.match_pattern or match_pattern,
    str_len = custom.str_len or values.length,
    coercion = custom.coercion,
  })
  return function(v)
    local err = check(v)
    if err then
      return false, err
    end
    return true
  end
end

function M.generate_validator_code()
  error("not supported: resty.ljsonschema.generate_validator_code", 2)
end

M.jsonschema_validator = M.generate_validator(metaschema)

return M
