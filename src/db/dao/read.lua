-- What every DAO reads with, whatever its entity: by primary key, by cache key, page by page.

local checked = require "moongate.db.dao.options"
local rows = require "moongate.db.dao.rows"
local iteration = require "kong.db.iteration"
local run_hook = require("kong.hooks").run_hook

local want, want_options, accept = checked.want, checked.want_options, checked.accept
local convert = rows.convert
local error, tostring, type = error, tostring, type

local M = {
  row_to_entity = rows.row_to_entity,
  rows_to_entities = rows.rows_to_entities,
}

--- The primary key in `entity`, or nil, error, error table.
function M.primary_key_of(self, entity)
  local schema = self.schema
  local primary_key = schema:extract_pk_values(entity)
  local ok, errors = schema:validate_primary_key(primary_key)
  if not ok then
    local err_t = self.errors:invalid_primary_key(errors)
    return nil, tostring(err_t), err_t
  end
  return primary_key
end

local primary_key_of = M.primary_key_of

-- What a strategy found, as an entity, through the hook that follows.
local function found(self, row, err_t, options, hook, show_workspace)
  if err_t then
    return nil, tostring(err_t), err_t
  elseif not row then
    return nil
  end
  local ws_id = row.ws_id
  local entity, err
  entity, err, err_t = convert(self, row, options)
  if not entity then
    return nil, err, err_t
  end
  if show_workspace then
    entity, err_t = run_hook(hook, entity, self.schema.name, options, ws_id)
  else
    entity, err_t = run_hook(hook, entity, self.schema.name, options)
  end
  if not entity then
    return nil, tostring(err_t), err_t
  end
  return entity
end

M.found = found

--- The entity with this primary key; nil alone when there is none.
function M:select(pk_or_entity, options)
  want(pk_or_entity, "table", "primary_key")
  want_options(options)
  local primary_key, err, err_t = primary_key_of(self, pk_or_entity)
  if not primary_key then
    return nil, err, err_t
  end
  local ok
  ok, err, err_t = accept(self, options)
  if not ok then
    return nil, err, err_t
  end
  ok, err_t = run_hook("dao:select:pre", primary_key, self.schema.name, options)
  if not ok then
    return nil, tostring(err_t), err_t
  end
  local row
  row, err_t = self.strategy:select(primary_key, options)
  return found(self, row, err_t, options, "dao:select:post")
end

--- A page of entities: list, nil, nil, offset of the next page.
function M:page(size, offset, options)
  if size ~= nil then
    want(size, "number", "size")
  end
  if offset ~= nil then
    want(offset, "string", "offset")
  end
  want_options(options)
  options = checked.paged(self, options)
  local err, err_t
  size, err, err_t = checked.page_size(self, size, options)
  if not size then
    return nil, err, err_t
  end

  local name, ok = self.schema.name, nil
  ok, err_t = run_hook("dao:page:pre", size, name, options)
  if not ok then
    return nil, tostring(err_t), err_t
  end
  local list
  list, err_t, offset = self.strategy:page(size, offset, options)
  if err_t then
    return nil, tostring(err_t), err_t
  end
  local entities
  entities, err, err_t = self:rows_to_entities(list, options)
  if not entities then
    return nil, err, err_t
  end
  entities, err_t = run_hook("dao:page:post", entities, name, options)
  if not entities then
    return nil, tostring(err_t), err_t
  end
  return entities, nil, nil, offset
end

--- Iterates over all entities: entity, nil, page number; false, error, error table.
function M:each(size, options)
  if size ~= nil then
    want(size, "number", "size")
  end
  want_options(options)
  options = checked.paged(self, options)
  local err, err_t
  size, err, err_t = checked.page_size(self, size, options)
  if not size then
    return nil, err, err_t
  end
  local function pager(n, offset, opts)
    return self.strategy:page(n, offset, opts)
  end
  return iteration.by_row(self, pager, size, options)
end

--- `each` for an export: times to live as the moments of their end.
function M:each_for_export(size, options)
  if self.strategy.schema.ttl then
    want_options(options)
    local exported = {}
    for k, v in pairs(checked.paged(self, options)) do
      exported[k] = v
    end
    exported.export = true
    options = exported
  end
  return self:each(size, options)
end

--- The entity with this cache key, given as the string or as a table with the fields it is made of.
function M:select_by_cache_key(cache_key, options)
  local made_of = self.schema.cache_key
  if not made_of then
    error("entity does not have a cache_key defined", 2)
  end
  if type(cache_key) ~= "string" then
    cache_key = self:cache_key(cache_key)
  end
  if #made_of == 1 then
    return self["select_by_" .. made_of[1]](self, cache_key, options)
  end

  local ok, err, err_t = accept(self, options)
  if not ok then
    return nil, err, err_t
  end
  ok, err_t = run_hook("dao:select_by_cache_key:pre", cache_key, self.schema.name, options)
  if not ok then
    return nil, tostring(err_t), err_t
  end
  local row
  row, err_t = self.strategy:select_by_field("cache_key", cache_key, options)
  return found(self, row, err_t, options, "dao:select_by_cache_key:post", true)
end

return M
