-- What DAOs write with. A strategy without a database refuses, but what is written is judged first, as ever.

local checked = require "moongate.db.dao.options"
local rows = require "moongate.db.dao.rows"
local read = require "moongate.db.dao.read"
local events = require "moongate.db.dao.events"
local deep_copy = require("kong.tools.table").deep_copy
local run_hook = require("kong.hooks").run_hook

local want, want_options, accept = checked.want, checked.want_options, checked.accept
local convert, primary_key_of = rows.convert, read.primary_key_of
local tostring = tostring
local null = ngx.null

local M = {}

local function violation(self, errors)
  local err_t = self.errors:schema_violation(errors)
  return nil, tostring(err_t), err_t
end

-- The entity that `value`, which is no primary key of `schema`, names by a unique field. Second: what was
-- looked for in vain, by field.
local function find_foreign(self, schema, value)
  local missed
  for name, field in schema:each_field() do
    local unique = value[name]
    local given = unique and unique ~= null and (field.unique or field.endpoint_key)
    if given and schema:validate_field(field, unique) then
      local dao = self.db[schema.name]
      local entity, err, err_t = dao["select_by_" .. name](dao, unique)
      if err_t then
        return nil, nil, err, err_t
      elseif entity then
        return entity
      end
      missed = missed or {}
      missed[name] = { name = name, value = unique, parent = schema.name }
    end
  end
  return nil, missed
end

-- Foreign keys given by a unique field of the other side become primary keys.
local function resolve_foreign(self, entity)
  local errors
  for name, field in self.schema:each_field() do
    local schema = field.schema
    if field.type == "foreign" and schema.validate_primary_key then
      local value = entity[name]
      if value and value ~= null and not schema:validate_primary_key(value, true) then
        local found, missed, err, err_t = find_foreign(self, schema, value)
        if err_t then
          return nil, err, err_t
        elseif found then
          entity[name] = schema:extract_pk_values(found)
        elseif missed then
          errors = errors or {}
          errors[name] = missed
        end
      end
    end
  end
  if errors then
    local err_t = self.errors:foreign_keys_unresolved(errors)
    return nil, tostring(err_t), err_t
  end
  return true
end

-- The last steps of judging: transformations on the way in, and the composed cache key.
local function finish(self, entity, original, options, context)
  if not options or options.transform ~= false then
    local transformed, err = self.schema:transform(entity, original, context)
    if not transformed then
      local err_t = self.errors:transformation_error(err)
      return nil, tostring(err_t), err_t
    end
    entity = transformed
  end
  local cache_key = self.schema.cache_key
  if cache_key and #cache_key > 1 then
    entity.cache_key = self:cache_key(entity)
  end
  return entity
end

--- The entity to insert, or nil, error, error table.
function M.check_insert(self, entity, options)
  local ok, err, err_t = accept(self, options)
  if not ok then
    return nil, err, err_t
  end
  local schema = self.schema
  local complete, errors = schema:process_auto_fields(entity, "insert")
  if not complete then
    return violation(self, errors)
  end
  ok, err, err_t = resolve_foreign(self, complete)
  if not ok then
    return nil, err, err_t
  end
  ok, errors = schema:validate_insert(complete, entity)
  if not ok then
    return violation(self, errors)
  end
  return finish(self, complete, entity, options, "insert")
end

-- The entity as it is, by primary key or by unique field `name`.
local function current(self, key, options, name)
  if name then
    return self["select_by_" .. name](self, key, options)
  end
  return self:select(key, options)
end

--- The entity to store for an update and the one there is, or nil, nil, error, error table.
function M.check_update(self, key, entity, options, name)
  options = options or {}
  local ok, err, err_t = accept(self, options)
  if not ok then
    return nil, nil, err, err_t
  end
  local schema = self.schema
  local complete, errors, check_immutable = schema:process_auto_fields(entity, "update")
  if not complete then
    return nil, violation(self, errors)
  end

  local old
  options.hide_shorthands = true
  old, err, err_t = current(self, key, options, name)
  options.hide_shorthands = false
  if err then
    return nil, nil, err, err_t
  elseif not old then
    err_t = name and self.errors:not_found_by_field({ [name] = key }) or self.errors:not_found(key)
    return nil, nil, tostring(err_t), err_t
  end

  if check_immutable then
    ok, errors = schema:validate_immutable_fields(complete, old)
    if not ok then
      return nil, violation(self, errors)
    end
  end
  complete = schema:merge_values(complete, old)
  ok, err, err_t = resolve_foreign(self, complete)
  if not ok then
    return nil, nil, err, err_t
  end
  ok, errors = schema:validate_update(complete, entity, old)
  if not ok then
    return nil, violation(self, errors)
  end
  complete, err, err_t = finish(self, complete, entity, options, "update")
  if not complete then
    return nil, nil, err, err_t
  end
  return complete, old
end

--- The same for an upsert, where there may be none yet.
function M.check_upsert(self, key, entity, options, name)
  local ok, err, err_t = accept(self, options)
  if not ok then
    return nil, nil, err, err_t
  end
  local schema = self.schema
  local complete, errors = schema:process_auto_fields(entity, "upsert")
  if not complete then
    return nil, violation(self, errors)
  end
  local old
  old, err, err_t = current(self, key, options, name)
  if err then
    return nil, nil, err, err_t
  end

  if name then
    complete[name] = key
  end
  ok, err, err_t = resolve_foreign(self, complete)
  if not ok then
    return nil, nil, err, err_t
  end
  ok, errors = schema:validate_upsert(complete, entity)
  if not ok then
    return nil, violation(self, errors)
  end
  if name then
    complete[name] = nil
  end
  complete, err, err_t = finish(self, complete, entity, options, "upsert")
  if not complete then
    return nil, nil, err, err_t
  end
  return complete, old
end

function M:truncate()
  return self.strategy:truncate()
end

--- Writes a new entity: the entity as stored, or nil, error, error table.
function M:insert(entity, options)
  want(entity, "table", "entity")
  want_options(options)
  local complete, err, err_t = M.check_insert(self, entity, options)
  if not complete then
    return nil, err, err_t
  end
  local name, ok = self.schema.name, nil
  ok, err_t = run_hook("dao:insert:pre", entity, name, options)
  if not ok then
    return nil, tostring(err_t), err_t
  end

  local row
  row, err_t = self.strategy:insert(complete, options)
  if not row then
    run_hook("dao:insert:fail", err_t, entity, name, options)
    return nil, tostring(err_t), err_t
  end
  local ws_id = row.ws_id
  local stored
  stored, err, err_t = convert(self, row, options)
  if not stored then
    run_hook("dao:insert:fail", err, entity, name, options)
    return nil, err, err_t
  end
  stored, err_t = run_hook("dao:insert:post", stored, name, options, ws_id)
  if not stored then
    return nil, tostring(err_t), err_t
  end
  self:post_crud_event("create", stored, nil, options)
  return stored
end

--- Changes fields of the entity with this primary key.
function M:update(pk_or_entity, entity, options)
  want(pk_or_entity, "table", "primary_key")
  want(entity, "table", "entity")
  want_options(options)
  local primary_key, err, err_t = primary_key_of(self, pk_or_entity)
  if not primary_key then
    return nil, err, err_t
  end
  local complete, old
  complete, old, err, err_t = M.check_update(self, primary_key, entity, options)
  if not complete then
    return nil, err, err_t
  end
  local name, ok = self.schema.name, nil
  ok, err_t = run_hook("dao:update:pre", complete, name, options)
  if not ok then
    return nil, tostring(err_t), err_t
  end

  local row
  row, err_t = self.strategy:update(primary_key, complete, options)
  if not row then
    run_hook("dao:update:fail", err_t, complete, name, options)
    return nil, tostring(err_t), err_t
  end
  local ws_id = row.ws_id
  local stored
  stored, err, err_t = convert(self, row, options)
  if not stored then
    run_hook("dao:update:fail", err_t, complete, name, options)
    return nil, err, err_t
  end
  stored, err_t = run_hook("dao:update:post", stored, name, options, ws_id)
  if not stored then
    return nil, tostring(err_t), err_t
  end
  self:post_crud_event("update", stored, old, options)
  return stored
end

--- Writes the entity with this primary key, whether there is one or not.
function M:upsert(pk_or_entity, entity, options)
  want(pk_or_entity, "table", "primary_key")
  want(entity, "table", "entity")
  want_options(options)
  local primary_key, err, err_t = primary_key_of(self, pk_or_entity)
  if not primary_key then
    return nil, err, err_t
  end
  local complete, old
  complete, old, err, err_t = M.check_upsert(self, primary_key, entity, options)
  if not complete then
    return nil, err, err_t
  end
  local name, ok = self.schema.name, nil
  ok, err_t = run_hook("dao:upsert:pre", complete, name, options)
  if not ok then
    return nil, tostring(err_t), err_t
  end

  local row
  row, err_t = self.strategy:upsert(primary_key, complete, options)
  if not row then
    return nil, tostring(err_t), err_t
  end
  local ws_id = row.ws_id
  local stored
  stored, err, err_t = convert(self, row, options)
  if not stored then
    return nil, err, err_t
  end
  stored, err_t = run_hook("dao:upsert:post", stored, name, options, ws_id, old)
  if not stored then
    return nil, tostring(err_t), err_t
  end
  self:post_crud_event(old and "update" or "create", stored, old, options)
  return stored
end

--- Removes the entity with this primary key, and what hangs on it: true, also when there is none.
function M:delete(pk_or_entity, options)
  want(pk_or_entity, "table", "primary_key")
  want_options(options)
  local primary_key, err, err_t = primary_key_of(self, pk_or_entity)
  if not primary_key then
    return nil, err, err_t
  end
  local shown = deep_copy(options or {})
  shown.show_ws_id = true
  local entity
  entity, err, err_t = self:select(primary_key, shown)
  if err then
    return nil, err, err_t
  elseif not entity then
    return true
  end
  local ok
  ok, err, err_t = accept(self, options)
  if not ok then
    return nil, err, err_t
  end

  local name, ws_id = self.schema.name, entity.ws_id
  local cascade = events.cascade(self, primary_key, shown)
  local _
  _, err_t = run_hook("dao:delete:pre", entity, name, cascade, options, ws_id)
  if err_t then
    return nil, tostring(err_t), err_t
  end

  local done
  done, err_t = self.strategy:delete(primary_key, options)
  if err_t then
    run_hook("dao:delete:fail", err_t, entity, name, options)
    return nil, tostring(err_t), err_t
  elseif not done then -- somebody else was faster
    run_hook("dao:delete:post", nil, name, options, ws_id, nil)
    return nil
  end
  entity, err_t = run_hook("dao:delete:post", entity, name, options, ws_id, cascade)
  if not entity then
    return nil, tostring(err_t), err_t
  end
  self:post_crud_event("delete", entity, nil, options)
  events.tell_cascade(cascade, options)
  return true
end

return M
