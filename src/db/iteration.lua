-- `kong.db.iteration`: walking through all rows of an entity, page by page.

local connector = require "kong.db.strategies.connector"
local hooks = require "kong.hooks"
local convert = require("moongate.db.dao.rows").convert

local tostring, type = tostring, type
local run_hook = hooks.run_hook

local M = {}

--- An iterator that reports one error and ends.
function M.failed(err, err_t)
  local told = false
  return function()
    if told then
      return nil
    end
    told = true
    return false, err, err_t
  end
end

-- Rows of one page after the other: row, nil, page number; nil, error.
local function rows_of(pager, size, options)
  size = size or connector:get_page_size(options)
  local at, page = 0, 1
  local rows, err, offset = pager(size, nil, options)
  return function()
    at = at + 1
    -- a page can come out short: what has expired, or what a filter left out
    while rows and rows[at] == nil and offset do
      rows, err, offset = pager(size, offset, options)
      at, page = 1, page + 1
    end
    if not rows then
      return nil, err
    end
    return rows[at], nil, page
  end
end

--- Iterates over entities: entity, nil, page number; after an error: false, error, error table, and then the
-- end. `pager(size, offset, options)` gives rows, an error, and the next offset.
function M.by_row(self, pager, size, options)
  local next_row = rows_of(pager, size, options)
  local failed = false

  return function()
    if failed then
      return nil
    end
    local row, err, err_t, page
    repeat
      row, err, page = next_row()
      if not row then
        if not err then
          return nil
        end
        failed = true
        err_t = type(err) == "table" and err or self.errors:database_error(err)
        return false, tostring(err_t), err_t
      end
      row, err_t = run_hook("dao:iterator:post", row, self.schema.name, options)
    until row ~= false
    if err_t then
      return false, tostring(err_t), err_t
    end

    if self.row_to_entity then
      row, err, err_t = convert(self, row, options)
      if not row then
        failed = true
        return false, err, err_t
      end
    end
    return row, nil, page
  end
end

return M
