-- What callers give a DAO: sizes, offsets, options. Types that are wrong raise where the DAO was called;
-- values that are wrong are error tables.

local is_valid_uuid = require("kong.tools.uuid").is_valid_uuid
local table_tools = require "kong.tools.table"
local MAX_TTL = require("kong.constants").DATABASE.DAO_MAX_TTL

local type, next, error, tostring = type, next, error, tostring
local floor, fmt, concat, match = math.floor, string.format, table.concat, string.match
local clone, merge = table_tools.shallow_copy, table_tools.table_merge
local null = ngx.null

local M = {}

--- Raises unless `value` is of this type; in the name of the caller of the function that asks.
function M.want(value, kind, name)
  if type(value) ~= kind then
    error(fmt("%s must be a %s", name, kind), 3)
  end
end

--- The same for options.
function M.want_options(options)
  if options ~= nil and type(options) ~= "table" then
    error("options must be a table when specified", 3)
  end
end

-- By field type: the Lua type its unique values have.
local LUA_TYPE = {
  array = "table", set = "table", map = "table", record = "table", foreign = "table",
  string = "string", number = "number", integer = "number", boolean = "boolean",
}

--- Raises unless `value` is of the Lua type that values of `field` have.
function M.want_unique(value, name, field)
  local kind = LUA_TYPE[field.type]
  if kind and type(value) ~= kind then
    error(fmt("%s must be a %s", name, kind), 3)
  end
end

local function check_workspace(options)
  local workspace = options.workspace
  if type(workspace) ~= "string" then
    return workspace ~= null and "must be a string or null" or nil
  end
  if not is_valid_uuid(workspace) then
    local found = kong.db.workspaces:select_by_name(workspace)
    if not found then
      return "invalid workspace"
    end
    options.workspace = found.id
  end
end

local function check_ttl(schema, ttl)
  if schema.ttl ~= true then
    return fmt("cannot be used with '%s'", schema.name)
  elseif floor(ttl) ~= ttl or ttl < 0 or ttl > MAX_TTL then
    return "must be an integer between 0 and " .. MAX_TTL
  end
end

local TAGS = "^[ \033-\043\045\046\048-\126\128-\244]+$"

-- Errors of tags and of tags_cond.
local function check_tags(schema, tags, cond)
  if not schema.fields.tags then
    return fmt("cannot be used with '%s'", schema.name)
  elseif type(tags) ~= "table" then
    -- without a condition, this is a filter that could not be read
    return cond and "must be a table" or "invalid filter syntax"
  elseif #tags > 5 then
    return "cannot query more than 5 tags"
  elseif not match(concat(tags), TAGS) then
    return "must only contain printable ascii (except `,` and `/`) or valid utf-8"
  elseif #tags > 1 and cond ~= "and" and cond ~= "or" then
    return nil, "must be a either 'and' or 'or' when more than one tag is specified"
  end
end

local function check_pagination(pagination, default_max)
  if type(pagination) ~= "table" then
    return "must be a table"
  end
  local errors
  local max = pagination.max_page_size
  if max ~= nil then
    if type(max) ~= "number" then
      errors = { max_page_size = "must be a number" }
    elseif floor(max) ~= max or max < 1 then
      errors = { max_page_size = "must be an integer greater than 0" }
    end
  end
  if max == nil or errors then
    max = default_max
  end
  local size = pagination.page_size
  if size ~= nil then
    local err
    if type(size) ~= "number" then
      err = "must be a number"
    elseif floor(size) ~= size or size < 1 or size > max then
      err = fmt("must be an integer between 1 and %d", max)
    end
    if err then
      errors = errors or {}
      errors.page_size = err
    end
  end
  return errors
end

local FLAGS = { "transform", "export", "skip_ttl" }

--- Judges options: true, or nil and errors by name. The name of a workspace in them becomes its id.
function M.check(dao, options)
  local schema, errors = dao.schema, {}

  if options.workspace then
    errors.workspace = check_workspace(options)
  end
  local show_ws_id = options.show_ws_id
  if show_ws_id and type(show_ws_id) ~= "boolean" then
    errors.show_ws_id = "must be a boolean"
  end
  if options.ttl ~= nil then
    errors.ttl = check_ttl(schema, options.ttl)
  end
  if options.tags ~= nil then
    errors.tags, errors.tags_cond = check_tags(schema, options.tags, options.tags_cond)
  end
  if options.pagination ~= nil and options.pagination ~= dao.pagination then
    errors.pagination = check_pagination(options.pagination, dao.pagination.max_page_size)
  end
  for i = 1, #FLAGS do
    local flag = options[FLAGS[i]]
    if flag ~= nil and type(flag) ~= "boolean" then
      errors[FLAGS[i]] = "must be a boolean"
    end
  end

  if next(errors) then
    return nil, errors
  end
  return true
end

local check = M.check

--- Judges options of an operation that may have none: true, or nil, error, error table.
function M.accept(dao, options)
  if options == nil then
    return true
  end
  local ok, errors = check(dao, options)
  if not ok then
    local err_t = dao.errors:invalid_options(errors)
    return nil, tostring(err_t), err_t
  end
  return true
end

--- The options of an operation over pages: those of the DAO, or a copy with its pagination filled in.
function M.paged(dao, options)
  if options == nil then
    return dao.page_options
  end
  options = clone(options)
  if type(options.pagination) == "table" then
    options.pagination = merge(dao.pagination, options.pagination)
  else
    options.pagination = dao.pagination
  end
  return options
end

--- The page size to use, or nil, error, error table. `options` are those of `paged`.
function M.page_size(dao, size, options)
  if size == nil then
    size = options.pagination.page_size
  else
    local max = options.pagination.max_page_size
    if floor(size) ~= size or size < 1 or size > max then
      local err_t = dao.errors:invalid_size("size must be an integer between 1 and " .. max)
      return nil, tostring(err_t), err_t
    end
  end
  if options ~= dao.page_options then
    local ok, err, err_t = M.accept(dao, options)
    if not ok then
      return nil, err, err_t
    end
  end
  return size
end

return M
