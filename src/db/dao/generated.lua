-- The methods a DAO has for the fields of its schema: `page_for_`, `each_for_` for foreign keys,
-- `select_by_`, `update_by_`, `upsert_by_`, `delete_by_` for unique fields.

local checked = require "moongate.db.dao.options"
local rows = require "moongate.db.dao.rows"
local read = require "moongate.db.dao.read"
local write = require "moongate.db.dao.write"
local events = require "moongate.db.dao.events"
local iteration = require "kong.db.iteration"
local deep_copy = require("kong.tools.table").deep_copy
local run_hook = require("kong.hooks").run_hook

local want, want_options, want_unique, accept =
  checked.want, checked.want_options, checked.want_unique, checked.accept
local convert, found = rows.convert, read.found
local error, tostring = error, tostring
local null = ngx.null

-- Judges the arguments of `page_for_` and `each_for_`: the page size and the options to go on with, or nil,
-- error, error table.
local function check_page_for(self, field, foreign_key, size, options)
  local given = options
  options = checked.paged(self, options)
  local ok, errors = self.schema:validate_field(field, foreign_key)
  if not ok then
    local err_t = self.errors:invalid_primary_key(errors)
    return nil, tostring(err_t), err_t
  end
  local err, err_t
  size, err, err_t = checked.page_size(self, size, options)
  if not size then
    return nil, err, err_t
  end
  return size, given and options
end

local function add_foreign(methods, name, field)
  if #field.schema.primary_key > 1 then
    error("primary keys containing composite foreign keys are currently not supported", 0)
  end
  local page_name = "page_for_" .. name

  methods[page_name] = function(self, foreign_key, size, offset, options)
    want(foreign_key, "table", "foreign_key")
    if size ~= nil then
      want(size, "number", "size")
    end
    if offset ~= nil then
      want(offset, "string", "offset")
    end
    want_options(options)
    local err, err_t
    size, options, err_t = check_page_for(self, field, foreign_key, size, options)
    if not size then
      return nil, options, err_t
    end

    local entity, ok = self.schema.name, nil
    ok, err_t = run_hook("dao:page_for:pre", foreign_key, entity, options)
    if not ok then
      return nil, tostring(err_t), err_t
    end
    local strategy, list = self.strategy, nil
    list, err_t, offset = strategy[page_name](strategy, foreign_key, size, offset, options)
    if not list then
      return nil, tostring(err_t), err_t
    end
    list, err, err_t = self:rows_to_entities(list, options)
    if err then
      return nil, err, err_t
    end
    list, err_t = run_hook("dao:page_for:post", list, entity, options)
    if not list then
      return nil, tostring(err_t), err_t
    end
    return list, nil, nil, offset
  end

  methods["each_for_" .. name] = function(self, foreign_key, size, options)
    want(foreign_key, "table", "foreign_key")
    if size ~= nil then
      want(size, "number", "size")
    end
    want_options(options)
    local err_t
    size, options, err_t = check_page_for(self, field, foreign_key, size, options)
    if not size then
      return iteration.failed(options, err_t)
    end
    local strategy = self.strategy
    local function pager(n, offset, opts)
      return strategy[page_name](strategy, foreign_key, n, offset, opts)
    end
    return iteration.by_row(self, pager, size, options)
  end
end

-- Judges a unique value and the options beside it: true, or nil, error, error table.
local function check_unique(self, name, field, value, options)
  if options ~= nil and options.workspace == null and not field.unique_across_ws then
    local err_t = self.errors:invalid_unique_global(name)
    return nil, tostring(err_t), err_t
  end
  local ok, errors = self.schema:validate_field(field, value)
  if not ok then
    local err_t
    if field.type == "foreign" then
      err_t = self.errors:invalid_foreign_key(errors)
    else
      err_t = self.errors:invalid_unique(name, errors)
    end
    return nil, tostring(err_t), err_t
  end
  return accept(self, options)
end

local function add_unique(methods, name, field)
  local select_name = "select_by_" .. name

  methods[select_name] = function(self, value, options)
    want_unique(value, name, field)
    want_options(options)
    local ok, err, err_t = check_unique(self, name, field, value, options)
    if not ok then
      return nil, err, err_t
    end
    ok, err_t = run_hook("dao:select_by:pre", value, self.schema.name, options)
    if not ok then
      return nil, tostring(err_t), err_t
    end
    local row
    row, err_t = self.strategy:select_by_field(name, value, options)
    return found(self, row, err_t, options, "dao:select_by:post")
  end

  methods["update_by_" .. name] = function(self, value, entity, options)
    want_unique(value, name, field)
    want_options(options)
    local ok, err, err_t = check_unique(self, name, field, value, options)
    if not ok then
      return nil, err, err_t
    end
    want(entity, "table", "entity")
    local kind = self.schema.name
    ok, err_t = run_hook("dao:update_by:pre", value, kind, options)
    if not ok then
      return nil, tostring(err_t), err_t
    end
    local complete, old
    complete, old, err, err_t = write.check_update(self, value, entity, options, name)
    if not complete then
      run_hook("dao:update_by:fail", err_t, complete, kind, options)
      return nil, err, err_t
    end

    local row
    row, err_t = self.strategy:update_by_field(name, value, complete, options)
    if not row then
      run_hook("dao:update_by:fail", err_t, complete, kind, options)
      return nil, tostring(err_t), err_t
    end
    local stored
    stored, err, err_t = convert(self, row, options)
    if not stored then
      return nil, err, err_t
    end
    stored, err_t = run_hook("dao:update_by:post", stored, kind, options)
    if not stored then
      return nil, tostring(err_t), err_t
    end
    self:post_crud_event("update", stored, old, options)
    return stored
  end

  methods["upsert_by_" .. name] = function(self, value, entity, options)
    want_unique(value, name, field)
    want_options(options)
    local ok, err, err_t = check_unique(self, name, field, value, options)
    if not ok then
      return nil, err, err_t
    end
    want(entity, "table", "entity")
    local complete, old
    complete, old, err, err_t = write.check_upsert(self, value, entity, options, name)
    if not complete then
      return nil, err, err_t
    end
    local kind = self.schema.name
    ok, err_t = run_hook("dao:upsert_by:pre", complete, kind, options)
    if not ok then
      return nil, tostring(err_t), err_t
    end

    local row
    row, err_t = self.strategy:upsert_by_field(name, value, complete, options)
    if not row then
      run_hook("dao:upsert_by:fail", err_t, complete, kind, options)
      return nil, tostring(err_t), err_t
    end
    local ws_id = row.ws_id
    local stored
    stored, err, err_t = convert(self, row, options)
    if not stored then
      run_hook("dao:upsert_by:fail", err_t, complete, kind, options)
      return nil, err, err_t
    end
    stored, err_t = run_hook("dao:upsert_by:post", stored, kind, options, ws_id, old)
    if not stored then
      return nil, tostring(err_t), err_t
    end
    self:post_crud_event(old and "update" or "create", stored, old, options)
    return stored
  end

  methods["delete_by_" .. name] = function(self, value, options)
    want_unique(value, name, field)
    want_options(options)
    local ok, err, err_t = check_unique(self, name, field, value, options)
    if not ok then
      return nil, err, err_t
    end
    local shown = deep_copy(options or {})
    shown.show_ws_id = true
    local entity
    entity, err, err_t = self[select_name](self, value, shown)
    if err then
      return nil, err, err_t
    elseif not entity then
      return true
    end

    local kind, ws_id = self.schema.name, entity.ws_id
    local cascade = events.cascade(self, entity, shown)
    ok, err_t = run_hook("dao:delete_by:pre", entity, kind, cascade, options)
    if not ok then
      return nil, tostring(err_t), err_t
    end
    local done
    done, err_t = self.strategy:delete_by_field(name, value, options)
    if err_t then
      run_hook("dao:delete_by:fail", err_t, entity, kind, options)
      return nil, tostring(err_t), err_t
    elseif not done then
      run_hook("dao:delete_by:post", nil, kind, options, ws_id, nil)
      return nil
    end
    entity, err_t = run_hook("dao:delete_by:post", entity, kind, options, ws_id, cascade)
    if not entity then
      return nil, tostring(err_t), err_t
    end
    self:post_crud_event("delete", entity, nil, options)
    events.tell_cascade(cascade, options)
    return true
  end
end

--- The methods for one schema, by name.
return function(schema)
  local methods = {}
  for name, field in schema:each_field() do
    if field.type == "foreign" then
      add_foreign(methods, name, field)
    end
    if field.unique or schema.endpoint_key == name then
      add_unique(methods, name, field)
    end
  end
  return methods
end
