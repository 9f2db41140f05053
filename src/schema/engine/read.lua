-- An entity as it is read: completed in place, references to secrets resolved, what is no field (any more) removed.

local plan = require "moongate.schema.engine.plan"
local fill = require "moongate.schema.engine.fill"
local shorthand = require "moongate.schema.engine.shorthand"
local values = require "moongate.schema.engine.values"

local null = require("cjson").null
local is_reference = values.is_reference
local floor = math.floor
local next, type = next, type
local kind = plan.kind
local ARRAY, SET, MAP, RECORD, STRING, INTEGER = kind.ARRAY, kind.SET, kind.MAP, kind.RECORD, kind.STRING, kind.INTEGER
local MAX_DEPTH = values.MAX_DEPTH

local M = {}

local read

-- `how`: nulls (keep them), opts, resolve (references are resolved).
local function complete(field, P, value, how, depth)
  if depth > MAX_DEPTH then
    return nil, values.TOO_DEEP
  end
  if value == null and P.required then
    return fill.stand_in(field, P, how.opts, depth)
  elseif P.abstract then
    return value
  end
  local k = P.kind
  if k == RECORD then
    if value == nil and P.required then
      value = fill.stand_in(field, P, how.opts, depth)
    end
    if type(value) == "table" then
      return read(field, value, how, depth + 1)
    end
  elseif type(value) == "table" and (k == ARRAY or k == SET or k == MAP) then
    if k == ARRAY then
      value = values.as_array(value)
    elseif k == SET then
      value = values.as_set(value)
    end
    if P.deep or P.item and P.item.required then
      for key, v in next, value do
        local err
        value[key], err = complete(P.item_field, P.item, v, how, depth + 1)
        if err then
          return nil, err
        end
      end
    end
  end
  if value == nil then
    return fill.stand_in(field, P, how.opts, depth)
  end
  return value
end

-- The secret behind a reference; "" where there is none.
local function secret(reference)
  local found, err = kong.vault.get(reference)
  if not found then
    if err then
      kong.log.warn("unable to resolve reference ", reference, " (", err, ")")
    else
      kong.log.notice("unable to resolve reference ", reference)
    end
  end
  return found or ""
end

-- References that an earlier reading resolved are kept.
local function keep_earlier(earlier, key, refs)
  if earlier and earlier[key] and not (refs and refs[key]) then
    refs = refs or {}
    refs[key] = earlier[key]
  end
  return refs
end

local function resolve_items(key, list, refs)
  for k, v in next, list do
    if is_reference(v) then
      refs = refs or {}
      refs[key] = refs[key] or {}
      refs[key][k] = v
      list[k] = secret(v)
    end
  end
  return refs
end

-- Replaces the references in a field by what they stand for, and notes them in `refs`.
local function resolve(P, key, value, refs, earlier)
  local k = P.kind
  if k == STRING and P.referenceable then
    if is_reference(value) then
      refs = refs or {}
      refs[key] = value
      return secret(value), refs
    end
    return value, keep_earlier(earlier, key, refs)
  elseif type(value) == "table" and (k == ARRAY or k == SET or k == MAP) then
    local item = P.item
    if item and item.kind == STRING and item.referenceable and next(value) ~= nil then
      refs = keep_earlier(earlier, key, resolve_items(key, value, refs))
    end
  end
  return value, refs
end

local function show_shorthands(R, data, opts)
  for i = 1, #R.shorthands do
    local short = R.shorthands[i]
    if not (opts and opts.hide_shorthands) and shorthand.is_shown(short) then
      data[short.name] = shorthand.back(short, data)
    end
  end
end

local function is_shorthand(R, key)
  for i = 1, R.shorthands and #R.shorthands or 0 do
    if R.shorthands[i].name == key then
      return shorthand.is_shown(R.shorthands[i])
    end
  end
  return false
end

-- Empty strings were nothing, unless the field takes them; keys that are no fields go.
local function clean(def, R, data, refs, how)
  local ttl = def.ttl
  for key, value in next, data do
    local i = R.index[key]
    if i then
      if value == "" and R.plans[i].kind == STRING and (R.fields[i].len_min or 1) > 0
        and not (refs and refs[key])
      then
        data[key] = how.nulls and null or nil
      end
    elseif not (key == "ttl" and ttl or key == "ws_id" and how.opts and how.opts.show_ws_id)
      and not is_shorthand(R, key)
    then
      data[key] = nil
    end
  end
end

local function read_fields(R, data, how, depth)
  local refs
  local earlier = how.resolve and data["$refs"]
  for i = 1, R.n do
    local key, P = R.names[i], R.plans[i]
    local value, err = complete(R.fields[i], P, data[key], how, depth)
    if err then
      return nil, nil, err
    end
    if value == null and not how.nulls then
      value = nil
    elseif P.kind == INTEGER and type(value) == "number" then
      value = floor(value)
    end
    if how.resolve and value ~= nil then
      value, refs = resolve(P, key, value, refs, earlier)
    elseif how.resolve and P.kind == STRING and P.referenceable then
      refs = keep_earlier(earlier, key, refs)
    end
    data[key] = value
  end
  return true, refs
end

function read(def, data, how, depth)
  local R = plan.of_record(def)
  if R.shorthands then
    local err = shorthand.expand(R.shorthands, data)
    show_shorthands(R, data, how.opts)
    if err then
      return nil, err
    end
  end
  local special = plan.for_input(def, data)
  local ok, refs, err = read_fields(special, data, how, depth)
  if not ok then
    return nil, err
  end
  if def.ttl and data.ttl == null and not how.nulls then
    data.ttl = nil
  end
  clean(def, R, data, refs, how)
  data["$refs"] = refs
  return data
end

-- References are resolved for those who use an entity, not for those who manage it (they ask for nulls).
local function resolves(nulls)
  local kong = kong
  if nulls or not kong or not kong.vault then
    return false
  end
  local configuration = kong.configuration
  return not (configuration and configuration.role == "control_plane")
end

--- Completes `data`, in place, as an entity of `def` that was read.
function M.read(def, data, nulls, opts)
  return read(def, data, { nulls = nulls, opts = opts, resolve = resolves(nulls) }, 1)
end

return M
